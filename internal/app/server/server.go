// Package server composes the program rind: the server with its roles, `rind
// up`, and the operator's commands around them.
package server

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/acme"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/postgres"
	"github.com/rind-project/rind/internal/base/database/sqlite"
	"github.com/rind-project/rind/internal/base/health"
	"github.com/rind-project/rind/internal/base/lifecycle"
	"github.com/rind-project/rind/internal/base/memory"
	"github.com/rind-project/rind/internal/base/metrics"
	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/base/version"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/basket/holder"
	"github.com/rind-project/rind/internal/fleet/blob/store"
	"github.com/rind-project/rind/internal/fleet/enroll/registrar"
	"github.com/rind-project/rind/internal/fleet/event"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/master"
	"github.com/rind-project/rind/internal/fleet/member"
	"github.com/rind-project/rind/internal/fleet/natsd"
	"github.com/rind-project/rind/internal/fleet/settings/layer"
	"github.com/rind-project/rind/internal/fleet/target/group"
	"github.com/rind-project/rind/internal/inventory/managed"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/enrich"
	"github.com/rind-project/rind/internal/network/node"
)

// Server is one server with all its roles. Use New.
type Server struct {
	cfg Config
	log *slog.Logger

	reg    *prometheus.Registry
	checks *health.Checks
	group  *lifecycle.Group
	opened []func() error // what New's callers opened, closed in reverse

	ca     *pki.CA
	db     *database.DB
	people *access.Service
	edges  *edges
	health *healthOnly // instead of edges, with the role bus alone

	// of the roles bus and master
	daemon    *natsd.Server
	client    *busClient
	registrar *registrar.Registrar
	groups    *group.Store
	layers    *layer.Store
	files     *store.Store
	master    *master.Master
	basket    *holder.Holder
	events    *event.Service

	// of the role node
	node   *node.Node
	memory *memory.Gauge
	enrich *enrich.Service
	hosts  *managed.Reader                                 // nil with the role master, or with SQLite
	whose  func(tap network.TapID, addr netip.Addr) string // names the managed host that has an address; nil where none is known

	acme *acme.Manager // nil when the operator asks for no certificates

	password string // of the first administrator, once

	watching context.Context // ends with Stop, and with it what Died started
	unwatch  context.CancelFunc
}

// New makes a server that has not touched anything yet.
func New(cfg Config, log *slog.Logger) *Server {
	s := &Server{cfg: cfg, log: log, reg: metrics.New(), checks: health.New(), group: lifecycle.NewGroup(log), memory: memory.NewGauge(cfg.MemoryLimit.Bytes())}
	s.watching, s.unwatch = context.WithCancel(context.Background())
	return s
}

// Start opens the data folder and the database, brings the schema up to date,
// and starts the components in order.
func (s *Server) Start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := s.compose(); err != nil {
		return err
	}
	if err := s.group.Start(ctx); err != nil {
		return err
	}
	if s.people == nil {
		return nil
	}
	// Last, since nobody would be shown the password of a start that failed.
	if s.password, err = s.people.Bootstrap(ctx); err != nil {
		return errors.Join(fmt.Errorf("making the first administrator: %w", err), s.group.Stop(context.WithoutCancel(ctx)))
	}
	return nil
}

// Stop stops the components in reverse order and closes what was opened.
func (s *Server) Stop(ctx context.Context) error {
	s.checks.SetDraining()
	if s.node != nil {
		s.node.Leave(ctx)
	}
	s.unwatch()
	return errors.Join(s.group.Stop(ctx), s.close())
}

func (s *Server) close() error {
	var all []error
	for ; len(s.opened) > 0; s.opened = s.opened[:len(s.opened)-1] {
		all = append(all, s.opened[len(s.opened)-1]())
	}
	return errors.Join(all...)
}

// open takes the data folder and opens what lies in it.
func (s *Server) open(ctx context.Context) error {
	unlock, err := lockDataDir(s.cfg.DataDir)
	if err != nil {
		return err
	}
	s.opened = append(s.opened, unlock)
	if s.ca, err = pki.OpenCA(filepath.Join(s.cfg.DataDir, "pki")); err != nil {
		return err
	}
	if !s.cfg.serves() {
		return nil
	}
	if s.db, err = openDatabase(ctx, s.cfg); err != nil {
		return err
	}
	s.opened = append(s.opened, s.db.Close)
	if err := database.Migrate(ctx, s.db, Migrations()); err != nil {
		return fmt.Errorf("bringing the database's schema up to date: %w", err)
	}
	s.people = access.New(s.cfg.Access, access.Deps{DB: s.db, Log: s.log, Metrics: s.reg, Now: time.Now})
	return nil
}

// Migrations is the schema of every room, in order.
func Migrations() []database.Migration {
	all := access.Migrations()
	all = append(all, registrar.Migrations()...)
	all = append(all, group.Migrations()...)
	all = append(all, layer.Migrations()...)
	all = append(all, store.Migrations()...)
	all = append(all, member.Migrations()...)
	all = append(all, acme.Migrations()...)
	all = append(all, managed.Migrations()...)
	return append(all, node.Migrations()...)
}

func openDatabase(ctx context.Context, cfg Config) (*database.DB, error) {
	if strings.HasPrefix(cfg.Database.URL, "postgres://") || strings.HasPrefix(cfg.Database.URL, "postgresql://") {
		return postgres.OpenAll(ctx, postgres.Options{URL: cfg.Database.URL, Read: cfg.Database.ReadURL, Listen: cfg.Database.ListenURL})
	}
	if cfg.Database.URL != "" {
		return nil, fmt.Errorf("database.url: write it as postgres://user@host/name, or leave it empty for SQLite")
	}
	return sqlite.Open(ctx, filepath.Join(cfg.DataDir, sqliteFile))
}

// compose lists the components in start order.
func (s *Server) compose() error {
	if s.cfg.has(RoleBus) {
		if err := s.composeBus(); err != nil {
			return err
		}
	}
	if !s.cfg.serves() {
		return s.composeHealth()
	}
	s.checks.Add("database", s.db.Ping)
	s.group.Add("access", s.people)
	if s.cfg.has(RoleMaster) {
		if err := s.composeMaster(); err != nil {
			return err
		}
	}
	if s.cfg.has(RoleNode) {
		if err := s.composeNode(); err != nil {
			return err
		}
	}
	return s.composeEdges()
}

// composeMaster lists what lives on the bus.
func (s *Server) composeMaster() error {
	keys, err := s.fleetKeys()
	if err != nil {
		return err
	}
	signer, err := job.NewCurrent(keys.Root, func() (ed25519.PrivateKey, error) { return s.daemon.MasterKey() }, time.Now)
	if err != nil {
		return err
	}
	s.client = &busClient{daemon: s.daemon, log: s.log}
	s.registrar = registrar.New(s.cfg.Enroll, registrar.Deps{
		DB: s.db, Issuer: s.daemon, CAPEM: s.ca.CertPEM(), Pin: s.ca.Pin(),
		JS:        func() (jetstream.JetStream, error) { return s.client.js, nil },
		BusURLs:   busURLs(s.cfg.NATS, s.daemon),
		FleetRoot: keys.Root.Public().(ed25519.PublicKey),
		Forget:    s.forget,
		Audit:     s.audit,
		Log:       s.log, Metrics: s.reg,
	})
	s.composeShared(signer)
	compiler, err := s.composeSettings()
	if err != nil {
		return err
	}
	if err := s.composeFiles(); err != nil {
		return err
	}
	s.master = master.New(s.cfg.Master, master.Deps{
		Log: s.log, Metrics: s.reg, Version: version.Get().Version, Signer: signer,
		NC:       func() *nats.Conn { return s.client.nc },
		JS:       func() jetstream.JetStream { return s.client.js },
		System:   func() *nats.Conn { return s.client.system },
		Enrolled: s.registrar.Enrolled,
		Answers:  s.answers(),
		Suspend:  s.registrar.Suspend, Suspended: s.registrar.Suspended,
		Room:     s.daemon.Room,
		Group:    s.groups.Find,
		Settings: compiler,
	})
	s.group.Add("bus client", s.client)
	s.group.Add("bus leader", leader{s.daemon})
	buckets := s.keeper()
	buckets.Remember(filepath.Join(s.cfg.DataDir, madeFile))
	s.group.Add("buckets", buckets)
	s.checks.Add("buckets", buckets.Check)
	s.checks.Add("disk", func(context.Context) error { return s.daemon.Room() })
	s.group.Add("registrar", s.registrar)
	s.group.Add("basket", s.basket)
	s.group.Add("files", s.files)
	s.group.Add("master", s.master)
	s.composeManaged()
	s.group.Add("events", s.events)
	s.group.Add("bus doors", doors{s.daemon})
	s.checks.Add("bus", func(ctx context.Context) error {
		if !s.client.nc.IsConnected() {
			return errors.New("the server's own connection to the bus is down")
		}
		return s.daemon.Current(ctx)
	})
	return nil
}

// composeShared makes what holds values and events of peels.
func (s *Server) composeShared(signer master.Signer) {
	nc := func() *nats.Conn { return s.client.nc }
	js := func() jetstream.JetStream { return s.client.js }
	s.basket = holder.New(s.cfg.Basket, holder.Deps{
		Log: s.log, Metrics: s.reg, JS: js, MaxPayload: func() int64 { return s.client.nc.MaxPayload() }, Vouch: signer.Vouch,
		Select: func(ctx context.Context, target string) ([]fleet.PeelID, error) { return s.master.Select(ctx, target) },
	})
	s.events = event.New(s.cfg.Events, event.Deps{Log: s.log, Metrics: s.reg, NC: nc, JS: js,
		Passes: func(id fleet.PeelID, size int) bool { return s.master.Passes(id, size) }})
}

// composeNode lists what takes reports.
func (s *Server) composeNode() (err error) {
	s.composeEnrich()
	s.node, err = node.New(s.cfg.Node, node.Deps{
		DB: s.db, Log: s.log, Metrics: s.reg, Version: version.Get().Version, Now: time.Now, Enrich: s.enrich,
		Roles: s.cfg.Roles, Memory: s.memory, Address: func() string { return localURL(s.Addr()) },
	})
	if err != nil {
		return err
	}
	if s.hosts != nil {
		s.node.Cluster().On(managed.Topic, s.hosts.Wake)
	}
	s.group.Add("node", s.node)
	s.checks.Add("node", s.node.Check)
	return nil
}

// composeEdges lists API, pages and the two ways in.
func (s *Server) composeEdges() error {
	s.edges = newEdges(s)
	tls, err := s.certificates()
	if err != nil {
		return err
	}
	socket, err := s.edges.socketServer()
	if err != nil {
		return err
	}
	// It is bound already: a start that fails before its turn lets it go.
	s.opened = append(s.opened, func() error { return socket.Stop(context.Background()) })
	s.group.Add("https", s.edges.httpsServer(tls))
	s.composeACME()
	s.group.Add("socket", socket)
	s.group.Add("pages", s.edges.pages) // after the servers, so that live connections end first
	s.group.Add("api", s.edges.api)
	return nil
}

var _ lifecycle.Component = (*Server)(nil)
