// Package peel is the peel's runtime: one connection to the bus, facts when
// they change, a heartbeat, and jobs that are run only when a master has
// signed them for this peel, answered once, and kept until the answer is
// acknowledged.
package peel

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/fleet/job/function"
)

// Config is the configuration of a peel's runtime. Zero values take the
// defaults.
type Config struct {
	StateDir         string        `yaml:"-"` // where returns and seen jobs survive a restart; "" keeps them in memory
	MaxReconnects    int           `yaml:"max_reconnects" help:"reconnects before giving up; -1 never gives up"`
	ReconnectWait    time.Duration `yaml:"reconnect_wait" help:"wait between reconnects, jittered"`
	ReconnectBufSize config.Size   `yaml:"reconnect_buf_size" help:"how much is kept for sending while disconnected"`
	MaxPingsOut      int           `yaml:"max_pings_out" help:"pings that may stay unanswered before the connection is given up"`
	DrainTimeout     time.Duration `yaml:"drain_timeout" help:"how long the end of a connection may take"`
	Heartbeat        time.Duration `yaml:"heartbeat" help:"how long the peel is silent at most: it says that it lives and pings the server in turns; from 19s on the server asks by itself"`
	Workers          int           `yaml:"workers" help:"jobs that change something and run at the same time"`
	Facts            FactsConfig   `yaml:"facts"`
	Basket           BasketConfig  `yaml:"basket"`

	Settings SettingsConfig `yaml:"settings"`
}

// FactsConfig says how facts are kept current.
type FactsConfig struct {
	Interval time.Duration `yaml:"interval" help:"how often facts are looked at; they are sent when they changed"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		MaxReconnects: -1, ReconnectWait: 2 * time.Second, ReconnectBufSize: 8 * config.MiB,
		MaxPingsOut: 3, DrainTimeout: 30 * time.Second,
		Heartbeat: 18 * time.Second, Workers: 4,
		Facts: FactsConfig{Interval: 5 * time.Minute}, Basket: BasketConfig{Interval: 5 * time.Minute},
		Settings: SettingsConfig{Interval: time.Hour, Jitter: 30 * time.Second},
	}
}

// Deps are what a peel needs.
type Deps struct {
	Log      *slog.Logger
	Identity *enroll.Identity
	// Credentials takes the place of Identity, where many peels live in one
	// process.
	Credentials Credentials
	Dial        Dialer                                     // how to connect; by the client library without
	Facts       func(context.Context) (fleet.Facts, error) // where facts come from; the host without
	Functions   []function.Function                        // what jobs can run; function.All() without
	Version     string
	Now         func() time.Time      // against which a job's times are measured; optional
	Metrics     prometheus.Registerer // optional
	Shared      *Shared               // of several peels in one process, in place of Functions and Metrics
}

// Credentials are who a peel is and how it proves it.
type Credentials interface {
	// Who returns the id and the fleet's root key, pinned at enrollment.
	Who() (fleet.PeelID, ed25519.PublicKey)
	BusConfig(*slog.Logger) (bus.ConnConfig, error)
	// RenewAt is when to renew the permission for the bus; another moment at
	// each call.
	RenewAt() time.Time
	Renew(context.Context) error
}

// enrolled makes credentials of an identity.
type enrolled struct{ *enroll.Identity }

func (e enrolled) Who() (fleet.PeelID, ed25519.PublicKey) { return e.ID, e.FleetRoot }

func (c *Config) fill() {
	d := DefaultConfig()
	setDefault(&c.ReconnectWait, d.ReconnectWait)
	setDefault(&c.Heartbeat, d.Heartbeat)
	setDefault(&c.Workers, d.Workers)
	setDefault(&c.DrainTimeout, d.DrainTimeout)
	setDefault(&c.Facts.Interval, d.Facts.Interval)
	setDefault(&c.Basket.Interval, d.Basket.Interval)
	setDefault(&c.Settings.Interval, d.Settings.Interval)
	setDefault(&c.Settings.Jitter, d.Settings.Jitter)
}

func setDefault[T ~int | ~int64](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}
