package server

import (
	"net"
	"net/netip"
	"net/url"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/app/daemon"
	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/log"
	"github.com/rind-project/rind/internal/base/memory"
	"github.com/rind-project/rind/internal/fleet/basket/holder"
	"github.com/rind-project/rind/internal/fleet/blob/store"
	"github.com/rind-project/rind/internal/fleet/enroll/registrar"
	"github.com/rind-project/rind/internal/fleet/event"
	"github.com/rind-project/rind/internal/fleet/master"
	"github.com/rind-project/rind/internal/fleet/natsd"
	"github.com/rind-project/rind/internal/network/enrich"
	"github.com/rind-project/rind/internal/network/node"
)

// The roles that a server can have.
const (
	RoleBus    = "bus"    // embeds the NATS server
	RoleMaster = "master" // manages peels
	RoleNode   = "node"   // takes the taps' reports
)

// Config is the file rind.yaml.
type Config struct {
	DataDir   string   `yaml:"data_dir" help:"folder of keys, bus and the SQLite database"`
	Roles     []string `yaml:"roles" help:"what this server is: bus, master, node"`
	Listen    string   `yaml:"listen" help:"address and port of API, pages, enrollment and ingest"`
	Socket    string   `yaml:"socket" help:"unix socket for the command line on this machine; empty is rind.sock in data_dir"`
	Group     string   `yaml:"socket_group" help:"group whose members may use the socket, once an administrator has bound their user ids; empty is the server's own"`
	PublicURL string   `yaml:"public_url" help:"how hosts and people reach this server, https://host:8443; empty is as they asked"`
	Names     []string `yaml:"names" help:"further names and addresses for the server's certificate"`

	HTTPS HTTPS `yaml:"https"`

	MemoryLimit memory.Limit `yaml:"memory_limit" help:"how much this process may hold: a share of the memory of its control group or machine (75%), or a size (2GiB); near it, reports are refused"`

	Log      log.Options      `yaml:"log"`
	Database Database         `yaml:"database"`
	NATS     natsd.Config     `yaml:"nats"`
	Master   master.Config    `yaml:"master"`
	Enroll   registrar.Config `yaml:"enroll"`
	Basket   holder.Config    `yaml:"basket"`
	Events   event.Config     `yaml:"events"`
	Files    store.Config     `yaml:"files"`
	Node     node.Config      `yaml:"node"`
	Enrich   enrich.Config    `yaml:"enrich"`
	Access   access.Config    `yaml:"access"`
}

// Database says where what must never be lost is kept.
type Database struct {
	URL string `yaml:"url" secret:"url" help:"postgres://user@host/name; several hosts may be named, of which the one that takes writes is used; empty is SQLite in data_dir"`

	ReadURL   string `yaml:"read_url" secret:"url" help:"postgres:// of a standby that answers what may be a little late: lists and charts of traffic; empty is none"`
	ListenURL string `yaml:"listen_url" secret:"url" help:"postgres:// of the database itself, to hear of changes, where url leads through a pooler such as pgBouncer; empty is url"`
}

// DefaultConfig returns the configuration of a server that was told nothing.
func DefaultConfig() Config {
	return Config{
		DataDir: daemon.StateDir("rind"),
		Roles:   []string{RoleBus, RoleMaster, RoleNode},
		Listen:  "0.0.0.0:8443",
		Log:     log.Defaults(),

		MemoryLimit: memory.Limit{Percent: memory.DefaultShare},

		NATS:   natsd.DefaultConfig(),
		Master: master.DefaultConfig(),
		Enroll: registrar.DefaultConfig(),
		Events: event.DefaultConfig(),
		Files:  store.DefaultConfig(),
		Node:   node.DefaultConfig(),
		Enrich: enrich.DefaultConfig(),
		Access: access.DefaultConfig(),
	}
}

// Validate says what is wrong and which key to change.
func (c *Config) Validate() error {
	if c.DataDir == "" {
		return config.Bad("data_dir", "a server needs a folder to keep its keys in")
	}
	if len(c.Roles) == 0 {
		return config.Bad("roles", "a server needs a role: bus, master or node")
	}
	for _, r := range c.Roles {
		if !slices.Contains([]string{RoleBus, RoleMaster, RoleNode}, r) {
			return config.Bad("roles", "%q is no role: choose among bus, master and node", r)
		}
	}
	if c.has(RoleMaster) && !c.has(RoleBus) {
		return config.Bad("roles", "a master runs beside a bus in one process: name bus too")
	}
	if c.has(RoleBus) && !c.serves() && !c.NATS.Clustered() {
		return config.Bad("nats.cluster.listen", "a server with the role bus alone carries connections for others: say where they reach it, such as 0.0.0.0:6222, and name them in nats.cluster.routes")
	}
	if err := listenable("listen", c.Listen); err != nil {
		return err
	}
	if err := c.Files.Validate(); err != nil {
		return err
	}
	if c.Database.URL == "" && (c.Database.ReadURL != "" || c.Database.ListenURL != "") {
		return config.Bad("database.url", "read_url and listen_url go with a PostgreSQL: name it in database.url")
	}
	if c.HTTPS.ACME.On() && !c.serves() {
		return config.Bad("https.acme.domains", "a server with the role bus alone has no database to keep certificates in: leave this out, or give it the role node or master")
	}
	if c.Group != "" {
		if _, err := user.LookupGroup(c.Group); err != nil {
			return config.Bad("socket_group", "%v", err)
		}
	}
	if c.PublicURL != "" {
		if u, err := url.Parse(c.PublicURL); err != nil || u.Scheme != "https" || u.Host == "" {
			return config.Bad("public_url", "%q: write it as https://host:8443", c.PublicURL)
		}
	}
	return nil
}

// listenable checks an address to listen on.
func listenable(key, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return config.Bad(key, "%q: write it as ADDRESS:PORT, such as 0.0.0.0:8443", addr)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return config.Bad(key, "%q: the port is a number from 0 to 65535", addr)
	}
	if _, err := netip.ParseAddr(host); host != "" && host != "localhost" && err != nil {
		return config.Bad(key, "%q: the address is an IP address of this machine, such as 0.0.0.0 or 127.0.0.1", addr)
	}
	return nil
}

// serves reports whether the server has what people and programs ask for, and
// so needs the database.
func (c *Config) serves() bool { return c.has(RoleMaster) || c.has(RoleNode) }

func (c *Config) has(role string) bool { return slices.Contains(c.Roles, role) }

// socketPath is where the command line finds this server.
func (c *Config) socketPath() string {
	if c.Socket != "" {
		return c.Socket
	}
	return filepath.Join(c.DataDir, "rind.sock")
}
