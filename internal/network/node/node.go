// Package node is the node's runtime: it ties ingest and store together, is a
// member of the cluster of all nodes that share the database, does the periodic
// work that falls to it, and says how the cluster is.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/memory"
	"github.com/rind-project/rind/internal/network/ingest"
	"github.com/rind-project/rind/internal/network/node/cluster"
	"github.com/rind-project/rind/internal/network/store"
)

// Config is the part of a server's configuration that concerns its node.
type Config struct {
	Heartbeat  time.Duration      `yaml:"heartbeat" help:"how often a node says that it lives"`
	LeaseTerm  time.Duration      `yaml:"lease_term" help:"how long a node that is gone keeps periodic work from the others"`
	DrainWait  time.Duration      `yaml:"drain_wait" help:"how long a node that stops goes on taking reports, for balancers to turn to the others; it does not wait when it is alone"`
	Sweep      time.Duration      `yaml:"sweep" help:"how often old rows are deleted"`
	Retention  store.Retention    `yaml:"retention"`
	Partitions store.Partitioning `yaml:"partitions" help:"how much time a partition of flows, DNS queries and TLS hellos holds: hour, day, or auto for as many rows as suit"`
	Ingest     Ingest             `yaml:"ingest"`
}

// DefaultConfig returns the configuration of a node that was told nothing.
func DefaultConfig() Config {
	return Config{Heartbeat: 5 * time.Second, LeaseTerm: 15 * time.Second, DrainWait: 5 * time.Second, Sweep: 10 * time.Minute, Retention: store.DefaultRetention(), Partitions: store.Auto, Ingest: DefaultIngest()}
}

// Validate says what is wrong.
func (c Config) Validate() error {
	switch {
	case c.Heartbeat < 10*time.Millisecond:
		return errs.New(errs.Invalid, "heartbeat is %s: 5s is usual", c.Heartbeat)
	case c.LeaseTerm < 3*c.Heartbeat/2:
		return errs.New(errs.Invalid, "lease_term is %s: choose three heartbeats (%s) or more, or a slow database costs leases", c.LeaseTerm, 3*c.Heartbeat)
	case c.Sweep <= 0:
		return errs.New(errs.Invalid, "sweep is %s: 10m is usual", c.Sweep)
	case c.DrainWait < 0 || c.DrainWait > 10*time.Second:
		return errs.New(errs.Invalid, "drain_wait is %s: choose 0 to 10s", c.DrainWait)
	}
	return errors.Join(c.Retention.Validate(), c.Partitions.Validate(), c.Ingest.Validate())
}

// Deps are what a node stands on. All but DB may be empty.
type Deps struct {
	DB      *database.DB
	Log     *slog.Logger
	Metrics prometheus.Registerer
	Version string
	Roles   []string
	Address func() string // under which people and taps reach this server
	Memory  *memory.Gauge // of the process
	Now     func() time.Time
	Enrich  store.Enricher // optional: what is known of addresses beyond what taps see
}

// Node is one of the processes that share a database.
type Node struct {
	cfg     Config
	deps    Deps
	store   *store.Store
	ingest  *ingest.Service
	member  *cluster.Member
	door    *door
	meter   *meter
	swept   *prometheus.CounterVec
	parts   *prometheus.GaugeVec // by table
	ahead   *prometheus.GaugeVec // likewise
	started atomic.Bool
	lag     atomic.Int64 // microseconds
}

// Migrations returns the schema of all rooms that a node ties together.
func Migrations() []database.Migration {
	var all []database.Migration
	all = append(all, store.Migrations()...)
	all = append(all, ingest.Migrations()...)
	return append(all, cluster.Migrations()...)
}

// New makes a node; Start starts it. The database has been migrated by then.
func New(cfg Config, deps Deps) (*Node, error) {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	n := &Node{cfg: cfg, deps: deps, store: store.New(deps.DB, deps.Now).Keeping(cfg.Retention).Partitioned(cfg.Partitions)}
	if deps.Enrich != nil {
		n.store.Enrich(deps.Enrich)
	}
	var err error
	n.ingest, err = ingest.New(ingest.Config{Concurrent: cfg.Ingest.Concurrent, QueueBytes: int(cfg.Ingest.QueueBytes), MaxAge: cfg.Retention.LongestFlows(), MaxAgeOf: cfg.Retention.FlowsOf},
		ingest.Deps{DB: deps.DB, Store: n.store, Log: deps.Log, Metrics: deps.Metrics, Pressure: deps.Memory.Near, Now: deps.Now})
	if err != nil {
		return nil, err
	}
	n.swept = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rind_node_expired_rows_total", Help: "Rows deleted because they were older than their retention, by table.",
	}, []string{"table"})
	byTable := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"table"})
	}
	n.parts = byTable("rind_node_partitions", "Partitions of the telemetry, by table.")
	n.ahead = byTable("rind_node_partitions_ahead_seconds", "How far into the future the partitions reach that were made ahead, by table.")
	if deps.Metrics != nil {
		deps.Metrics.MustRegister(n.swept, n.parts, n.ahead)
	}
	n.door = newDoor(n.ingest.Handler(), n.closed, deps.Memory, deps.Metrics)
	n.meter = newMeter(n.door, deps.Memory, deps.DB)
	n.member = cluster.New(cluster.Config{Heartbeat: cfg.Heartbeat, Term: cfg.LeaseTerm}, cluster.Deps{
		DB: deps.DB, Log: deps.Log, Metrics: deps.Metrics, Version: deps.Version, Roles: deps.Roles, Address: deps.Address, Load: n.load,
	})
	n.gauges(deps.Metrics)
	n.member.On(tapsTopic, n.ingest.Forget)
	n.handleTasks()
	return n, nil
}

// Store reads and writes the telemetry.
func (n *Node) Store() *store.Store { return n.store }

// Ingest takes reports and keeps the taps.
func (n *Node) Ingest() *ingest.Service { return n.ingest }

// Cluster is this process's membership: leases, tasks and notices.
func (n *Node) Cluster() *cluster.Member { return n.member }

// Handler answers POST /api/v1/reports.
func (n *Node) Handler() http.Handler { return n.door }

// ID names this process among the nodes.
func (n *Node) ID() string { return n.member.ID() }

// Start writes the first heartbeat and begins the periodic work.
func (n *Node) Start(ctx context.Context) error {
	n.started.Store(true)
	if err := n.member.Start(ctx); err != nil {
		return err
	}
	n.member.Go(n.watchLag)
	n.member.Go(func(ctx context.Context) { n.member.Periodic(ctx, sweepWork, n.cfg.Sweep, n.sweep) })
	n.member.Go(n.partition)
	n.member.Go(func(ctx context.Context) { n.member.Hold(ctx, sumWork, n.sums) })
	return nil
}

// Stop answers the reports that were taken, ends the periodic work and takes
// the node off the list.
func (n *Node) Stop(ctx context.Context) error {
	if !n.started.Swap(false) {
		return nil
	}
	if err := n.ingest.Stop(ctx); err != nil {
		n.deps.Log.Warn("not every report was answered before the end: its tap will send it again", "error", err)
	}
	return n.member.Stop(ctx)
}

// Check says whether the node can take reports, for /readyz.
func (n *Node) Check(ctx context.Context) error {
	if n.member.Draining() {
		return errs.New(errs.Unavailable, "this node is draining and takes no reports, taps turn to the others; `rind node undrain %s` ends it", n.ID())
	}
	if n.deps.Memory.Near() {
		held, limit := n.deps.Memory.Use()
		return errs.New(errs.Unavailable, "this node holds %s of %s of memory and refuses reports, taps keep theirs meanwhile; "+
			"add a node, or raise memory_limit", config.Size(held>>20<<20), config.Size(limit>>20<<20))
	}
	return n.member.Check(ctx)
}

// sweepWork names the work and lease under which old rows are deleted.
const sweepWork = "retention"

// sweep deletes what is older than its retention. Deleting twice does no harm,
// so that the store's own short transactions are not fenced.
func (n *Node) sweep(ctx context.Context, _ *cluster.Lease, _ time.Time) error {
	gone, err := n.store.Delete(ctx, n.cfg.Retention)
	if err == nil {
		gone["reports"], err = n.ingest.Purge(ctx)
	}
	for table, rows := range gone {
		n.swept.WithLabelValues(table).Add(float64(rows))
	}
	if err == nil {
		err = n.askForTrims(ctx)
	}
	if err != nil {
		return fmt.Errorf("old rows were not all deleted: %w", err)
	}
	return nil
}
