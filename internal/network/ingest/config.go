package ingest

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/store"
)

// Config bounds what taps may send.
type Config struct {
	Limits        report.Limits // zero: those of the format
	Concurrent    int           // reports taken at once (8); more are answered 429
	BodyTimeout   time.Duration // for one body (30s)
	CommitTimeout time.Duration // for one transaction (20s)
	MaxAge        time.Duration // of a report's end (30 days): older ones are refused
	MaxAhead      time.Duration // that a report may lie in the future (24h)
	MaxClockOff   time.Duration // between the sending tap's clock and ours (5m)
}

// Deps are what the service stands on. Now may be nil.
type Deps struct {
	DB      *database.DB
	Store   *store.Store
	Log     *slog.Logger
	Metrics prometheus.Registerer
	Now     func() time.Time
}

func (c Config) complete() Config {
	if c.Limits == (report.Limits{}) {
		c.Limits = report.DefaultLimits()
	}
	c.Concurrent = or(c.Concurrent, 8)
	c.BodyTimeout = or(c.BodyTimeout, 30*time.Second)
	c.CommitTimeout = or(c.CommitTimeout, 20*time.Second)
	c.MaxAge = or(c.MaxAge, store.DefaultRetention().Flows)
	c.MaxAhead = or(c.MaxAhead, 24*time.Hour)
	c.MaxClockOff = or(c.MaxClockOff, 5*time.Minute)
	return c
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
