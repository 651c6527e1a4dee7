package tap

import (
	"os"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/bluetooth"
)

// Config is a tap's configuration file.
type Config struct {
	Name       string           `yaml:"name" help:"the tap's name; empty takes the one in the token"`
	Interfaces []Interface      `yaml:"interfaces" help:"interfaces to capture on: names, or {name, filter, workers, cpus, ring_bytes, snaplen, promiscuous}"`
	DataDir    string           `yaml:"data_dir" path:"true" help:"folder of the spool and the state"`
	DataName   string           `yaml:"-"` // of DataDir in messages, when this process reaches it by another path
	Node       Node             `yaml:"node"`
	Spool      Spool            `yaml:"spool"`
	Capture    Capture          `yaml:"capture"`
	Report     Report           `yaml:"report"`
	Flow       Flow             `yaml:"flow"`
	Metrics    Metrics          `yaml:"metrics"`
	Parsers    Parsers          `yaml:"parsers"`
	Quarantine Quarantine       `yaml:"quarantine"`
	Bluetooth  bluetooth.Config `yaml:"bluetooth"`
}

// Node says where reports go.
type Node struct {
	URLs      []string `yaml:"urls" help:"addresses of nodes or of the load balancer in front, tried in turn"`
	Token     string   `yaml:"token" secret:"true" help:"the tap's token, from rind tap add"`
	TokenFile string   `yaml:"token_file" path:"true" help:"file that holds the token; read again when it changes"`
	Pin       string   `yaml:"pin" help:"pin of the server's CA: sha256:…"`
	CAFile    string   `yaml:"ca_file" path:"true" help:"CA certificates to trust, PEM; empty with no pin trusts the system's"`
	Proxy     string   `yaml:"proxy" help:"HTTP proxy; empty takes HTTPS_PROXY and NO_PROXY"`
}

// Spool bounds what is kept while no node answers.
type Spool struct {
	Dir      string        `yaml:"dir" path:"true" help:"folder; empty is spool in data_dir"`
	MaxBytes config.Size   `yaml:"max_bytes" help:"size at which the oldest report goes"`
	MaxAge   time.Duration `yaml:"max_age" help:"age at which a report goes"`
}

// Capture says how packets are read.
type Capture struct {
	Filter      string      `yaml:"filter" help:"packets to take, as tcpdump writes it; empty takes all"`
	Workers     int         `yaml:"workers" help:"goroutines with a ring and a table each, per interface"`
	CPUs        []int       `yaml:"cpus" help:"CPUs that the workers are bound to, in turn; empty binds none"`
	RingBytes   config.Size `yaml:"ring_bytes" help:"memory shared with the kernel, per worker"`
	Snaplen     int         `yaml:"snaplen" help:"bytes taken of each packet; 0 takes all"`
	Promiscuous bool        `yaml:"promiscuous" help:"also take packets that are not for this host"`
}

// Report says how often the tap reports.
type Report struct {
	Interval time.Duration `yaml:"interval" help:"time that one report covers"`
}

// Metrics says where the tap's own metrics are served.
type Metrics struct {
	Listen string `yaml:"listen" help:"address of /metrics and /healthz; empty serves none"`
}

// DefaultConfig returns the configuration of a tap that was told nothing.
func DefaultConfig() Config {
	return Config{
		DataDir:    "/var/lib/rind-tap",
		Spool:      Spool{MaxBytes: 1 << 30, MaxAge: 7 * 24 * time.Hour},
		Capture:    Capture{Workers: 1, RingBytes: 64 << 20, Promiscuous: true},
		Report:     Report{Interval: 10 * time.Second},
		Flow:       defaultFlow(),
		Quarantine: Quarantine{MaxBytes: 16 << 20},
	}
}

// Validate says what is wrong and which key to change.
func (c *Config) Validate() error {
	switch {
	case c.Report.Interval < 100*time.Millisecond || c.Report.Interval > 5*time.Minute:
		return config.Bad("report.interval", "%w", errs.New(errs.Invalid, "report.interval is %s: choose between 100ms and 5m", c.Report.Interval))
	case c.Spool.MaxBytes < 1<<20:
		return config.Bad("spool.max_bytes", "%w", errs.New(errs.Invalid, "spool.max_bytes is less than 1MiB"))
	case c.Node.Token != "" && c.Node.TokenFile != "":
		return config.Bad("node.token", "%w", errs.New(errs.Invalid, "node.token and node.token_file are both set: choose one"))
	}
	if err := c.Flow.validate(); err != nil {
		return err
	}
	if err := c.validateParsers(); err != nil {
		return err
	}
	return c.validateCapture()
}

// ID returns the tap's name: the configured one, else the one in the token,
// else the host's name.
func (c *Config) ID(token string) (network.TapID, error) {
	named, ok := network.TapOfToken(token)
	id := network.TapID(c.Name)
	if id == "" {
		id = named
	}
	if ok && id != named {
		return "", errs.New(errs.Invalid, "name is %q, but the token is of tap %q: remove name, or use the token of that tap", id, named)
	}
	if id == "" {
		host, _ := os.Hostname()
		id = network.TapID(strings.ReplaceAll(strings.ToLower(host), ".", "_"))
	}
	if !id.Valid() {
		return "", errs.New(errs.Invalid, "%q is no name for a tap: use 1 to 63 of a-z, 0-9, _ and -", id)
	}
	return id, nil
}
