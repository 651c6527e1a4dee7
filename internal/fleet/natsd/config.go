// Package natsd runs the bus inside our own process: an embedded nats-server
// with TLS 1.3, operator-mode JWTs and JetStream in the data folder. It is the
// only importer of nats-server.
package natsd

import (
	"fmt"
	"math"
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
	Advertise      string        `yaml:"advertise" help:"host:port under which peels reach the bus of this server; empty: where it listens"`
	JetStream      JetStream     `yaml:"jetstream"`
	Cluster        Cluster       `yaml:"cluster"`
}

// JetStream is the configuration of what the bus stores.
type JetStream struct {
	Enabled      bool   `yaml:"enabled" help:"whether this server keeps streams; in a cluster one or three do, and the others carry connections only"`
	MaxMemStore  string `yaml:"max_mem_store" help:"memory for streams: a size, or a share of the machine's"`
	MaxFileStore string `yaml:"max_file_store" help:"disk for streams: a size, or a share of what is free, and then as much as the streams that are there have reserved at least"`
	Domain       string `yaml:"domain" help:"JetStream domain, for leaf nodes"`
	SyncInterval string `yaml:"sync_interval" help:"always, or how often writes are synced to disk; empty: always on a single server, 2m in a cluster"`
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
			Enabled: true, MaxMemStore: "75%", MaxFileStore: "75%",
			Limits: Limits{MaxAckPending: 65536, DuplicateWindow: 2 * time.Minute},
		},
		Cluster: Cluster{Name: "rind", LeaderTimeout: 5 * time.Minute},
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
	if _, _, err := c.syncInterval(); err != nil {
		return err
	}
	if c.Advertise != "" {
		if host, _, err := hostPort("nats.advertise", c.Advertise, "bus1.example.net:4222"); err != nil || host == "" {
			return errs.New(errs.Invalid, "nats.advertise is %.100q; it has to be HOST:PORT, such as bus1.example.net:4222", c.Advertise)
		}
	}
	return c.Cluster.validate(c.JetStream.Enabled)
}

func (c Config) hostPort() (host string, port int, err error) {
	return hostPort("nats.listen", c.Listen, "0.0.0.0:4222")
}

// clusterSync is how often the servers of a cluster sync what they store: what
// one of them has not synced when its power fails, the other two have.
const clusterSync = 2 * time.Minute

// syncInterval returns whether each write is synced, and how often otherwise.
func (c Config) syncInterval() (always bool, every time.Duration, err error) {
	switch text := c.JetStream.SyncInterval; text {
	case "":
		if c.Clustered() {
			return false, clusterSync, nil
		}
		return true, 0, nil
	case "always":
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
