// Package node is the node's runtime: it ties ingest and store together, keeps
// a heartbeat row that the other nodes see, and deletes what is older than its
// retention, on one node at a time.
package node

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network/ingest"
	"github.com/rind-project/rind/internal/network/store"
)

// Config is the part of a server's configuration that concerns its node.
type Config struct {
	Heartbeat time.Duration   `yaml:"heartbeat" help:"how often a node says that it lives"`
	Sweep     time.Duration   `yaml:"sweep" help:"how often old rows are deleted"`
	Retention store.Retention `yaml:"retention"`
	Ingest    Ingest          `yaml:"ingest"`
}

// Ingest bounds what a node takes at once.
type Ingest struct {
	Concurrent int `yaml:"concurrent" help:"reports taken at once; further ones are answered 429"`
}

// DefaultConfig returns the configuration of a node that was told nothing.
func DefaultConfig() Config {
	return Config{Heartbeat: 5 * time.Second, Sweep: 10 * time.Minute, Retention: store.DefaultRetention(), Ingest: Ingest{Concurrent: 8}}
}

// Validate says what is wrong.
func (c Config) Validate() error { return c.Retention.Validate() }

// Deps are what a node stands on. Now may be nil.
type Deps struct {
	DB      *database.DB
	Log     *slog.Logger
	Metrics prometheus.Registerer
	Version string
	Now     func() time.Time
	Enrich  store.Enricher // optional: what is known of addresses beyond what taps see
}

// Node is one of the processes that share a database.
type Node struct {
	cfg    Config
	deps   Deps
	id     string
	store  *store.Store
	ingest *ingest.Service
	swept  *prometheus.CounterVec

	cancel  context.CancelFunc
	working sync.WaitGroup

	mu      sync.Mutex
	beat    time.Time // of the last heartbeat that was written
	beatErr error
}

// Migrations returns the schema of all rooms that a node ties together.
func Migrations() []database.Migration {
	var all []database.Migration
	all = append(all, store.Migrations()...)
	all = append(all, ingest.Migrations()...)
	return append(all, migrations()...)
}

// New makes a node; Start starts it. The database has been migrated by then.
func New(cfg Config, deps Deps) (*Node, error) {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	n := &Node{cfg: cfg, deps: deps, id: database.NewID(), store: store.New(deps.DB, deps.Now).Keeping(cfg.Retention)}
	if deps.Enrich != nil {
		n.store.Enrich(deps.Enrich)
	}
	var err error
	n.ingest, err = ingest.New(ingest.Config{Concurrent: cfg.Ingest.Concurrent, MaxAge: cfg.Retention.Flows},
		ingest.Deps{DB: deps.DB, Store: n.store, Log: deps.Log, Metrics: deps.Metrics, Now: deps.Now})
	if err != nil {
		return nil, err
	}
	n.swept = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rind_node_expired_rows_total", Help: "Rows deleted because they were older than their retention, by table.",
	}, []string{"table"})
	if deps.Metrics != nil {
		deps.Metrics.MustRegister(n.swept)
	}
	return n, nil
}

// Store reads and writes the telemetry.
func (n *Node) Store() *store.Store { return n.store }

// Ingest takes reports and keeps the taps.
func (n *Node) Ingest() *ingest.Service { return n.ingest }

// Handler answers POST /api/v1/reports.
func (n *Node) Handler() http.Handler { return n.ingest.Handler() }

// ID names this process among the nodes.
func (n *Node) ID() string { return n.id }

// Start writes the first heartbeat and begins the periodic work.
func (n *Node) Start(ctx context.Context) error {
	if err := n.register(ctx); err != nil {
		return fmt.Errorf("writing the node's first heartbeat: %w", err)
	}
	n.noteBeat(nil)
	running, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	n.working.Go(func() { n.every(running, n.cfg.Heartbeat, n.heartbeat) })
	n.working.Go(func() { n.every(running, n.cfg.Sweep, n.sweep) })
	return nil
}

// Stop ends the periodic work and takes the node off the list.
func (n *Node) Stop(ctx context.Context) error {
	if n.cancel == nil {
		return nil
	}
	n.cancel()
	n.cancel = nil
	done := make(chan struct{})
	go func() {
		n.working.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	return n.leave(ctx)
}

// every calls f in each period.
func (n *Node) every(ctx context.Context, period time.Duration, f func(context.Context)) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f(ctx)
		}
	}
}

// Check says whether the node can take reports, for /readyz.
func (n *Node) Check(ctx context.Context) error {
	if err := n.deps.DB.Ping(ctx); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.beatErr != nil && time.Since(n.beat) > 3*n.cfg.Heartbeat {
		return fmt.Errorf("no heartbeat was written since %s: %w", n.beat.Format(time.RFC3339), n.beatErr)
	}
	return nil
}

func (n *Node) noteBeat(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.beatErr = err; err == nil {
		n.beat = time.Now()
	}
}
