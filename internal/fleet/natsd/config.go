// Package natsd runs the bus inside our own process: an embedded nats-server
// with TLS 1.3, operator-mode JWTs and JetStream in the data folder. It is the
// only importer of nats-server.
package natsd

import (
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/errs"
)

// Config is the configuration below the key nats.
type Config struct {
	Listen         string        `yaml:"listen" help:"address and port of the bus; port 0 lets the system choose"`
	MaxConnections int           `yaml:"max_connections" help:"how many peels and programs may be connected at once"`
	MaxPayload     config.Size   `yaml:"max_payload" help:"largest message"`
	WriteDeadline  time.Duration `yaml:"write_deadline" help:"a client that takes longer to read is disconnected"`
	ReadyTimeout   time.Duration `yaml:"ready_timeout" help:"how long the bus may take to start"`
	JetStream      JetStream     `yaml:"jetstream"`
}

// JetStream is the configuration of what the bus stores.
type JetStream struct {
	MaxMemStore  string `yaml:"max_mem_store" help:"memory for streams: a size, or a share of the machine's"`
	MaxFileStore string `yaml:"max_file_store" help:"disk for streams: a size, or a share of what is free"`
	Domain       string `yaml:"domain" help:"JetStream domain, for leaf nodes"`
	SyncInterval string `yaml:"sync_interval" help:"always, or how often writes are synced to disk; empty: always on a single server"`
	Limits       Limits `yaml:"limits"`
}

// Limits are ceilings for every stream and consumer.
type Limits struct {
	MaxAckPending   int           `yaml:"max_ack_pending" help:"unacknowledged messages of a consumer"`
	DuplicateWindow time.Duration `yaml:"duplicate_window" help:"how long message ids are remembered"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Listen: "0.0.0.0:4222", MaxConnections: 65536, MaxPayload: 1 << 20,
		WriteDeadline: 2 * time.Second, ReadyTimeout: 10 * time.Second,
		JetStream: JetStream{
			MaxMemStore: "75%", MaxFileStore: "75%",
			Limits: Limits{MaxAckPending: 65536, DuplicateWindow: 2 * time.Minute},
		},
	}
}

// Validate reports the first value that cannot be.
func (c Config) Validate() error {
	if _, _, err := c.hostPort(); err != nil {
		return err
	}
	if c.MaxConnections < 1 || c.MaxConnections > 1<<24 {
		return errs.New(errs.Invalid, "nats.max_connections is %d; use 1 to %d", c.MaxConnections, 1<<24)
	}
	if c.MaxPayload < 64<<10 || c.MaxPayload > 64<<20 {
		return errs.New(errs.Invalid, "nats.max_payload is %d bytes; use 64KiB to 64MiB", int64(c.MaxPayload))
	}
	if c.WriteDeadline <= 0 || c.ReadyTimeout <= 0 {
		return errs.New(errs.Invalid, "nats.write_deadline and nats.ready_timeout have to be more than 0")
	}
	if c.JetStream.Limits.MaxAckPending < 1 || c.JetStream.Limits.DuplicateWindow < time.Second {
		return errs.New(errs.Invalid, "nats.jetstream.limits: max_ack_pending has to be at least 1 and duplicate_window at least 1s")
	}
	if _, err := storeSize("nats.jetstream.max_mem_store", c.JetStream.MaxMemStore, 1<<30); err != nil {
		return err
	}
	if _, err := storeSize("nats.jetstream.max_file_store", c.JetStream.MaxFileStore, 1<<30); err != nil {
		return err
	}
	_, _, err := c.syncInterval()
	return err
}

func (c Config) hostPort() (host string, port int, err error) {
	host, text, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return "", 0, errs.New(errs.Invalid, "nats.listen is %q; it has to be ADDRESS:PORT, such as 0.0.0.0:4222", c.Listen)
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, errs.New(errs.Invalid, "nats.listen is %q; %q is no port", c.Listen, text)
	}
	return host, port, nil
}

// syncInterval returns whether each write is synced, and how often otherwise.
func (c Config) syncInterval() (always bool, every time.Duration, err error) {
	switch text := c.JetStream.SyncInterval; text {
	case "", "always":
		return true, 0, nil
	default:
		every, err := time.ParseDuration(text)
		if err != nil || every <= 0 {
			return false, 0, errs.New(errs.Invalid, "nats.jetstream.sync_interval is %q; use always, or a duration such as 2m", text)
		}
		return false, every, nil
	}
}

// storeSize reads a size ("10GiB") or a share ("75%") of the total.
func storeSize(key, text string, total int64) (int64, error) {
	if share, ok := strings.CutSuffix(text, "%"); ok {
		n, err := strconv.ParseFloat(share, 64)
		if err != nil || math.IsNaN(n) || n <= 0 || n > 100 {
			return 0, errs.New(errs.Invalid, "%s is %q; use a share from 1%% to 100%%, or a size such as 10GiB", key, text)
		}
		return int64(float64(total) * n / 100), nil
	}
	size, err := config.ParseSize(text)
	if err != nil || size <= 0 {
		return 0, errs.New(errs.Invalid, "%s is %q; use a share such as 75%%, or a size such as 10GiB", key, text)
	}
	return int64(size), nil
}

func (c Config) String() string { return fmt.Sprintf("nats on %s", c.Listen) }
