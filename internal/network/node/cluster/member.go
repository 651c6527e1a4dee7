// Package cluster makes processes that share a database one cluster: each
// shows itself by a heartbeat, holds leases whose writes are fenced, does
// periodic work once for each period, takes tasks, and hears of changes that
// others made. All of it is rows of the database, timed by the database's
// clock; with SQLite a process is alone, and the same code runs.
package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/database"
)

// Config says how often a member acts.
type Config struct {
	Heartbeat time.Duration // between two heartbeats, and two polls (5s)
	Term      time.Duration // of a lease (15s)
	TaskTerm  time.Duration // for which a task is claimed, renewed while it runs (30s)
}

func (c Config) complete() Config {
	if c.Heartbeat <= 0 {
		c.Heartbeat = 5 * time.Second
	}
	if c.Term <= 0 {
		c.Term = 15 * time.Second
	}
	if c.TaskTerm <= 0 {
		c.TaskTerm = 30 * time.Second
	}
	return c
}

// Deps are what a member stands on. All but DB may be empty.
type Deps struct {
	DB      *database.DB
	Log     *slog.Logger
	Metrics prometheus.Registerer
	Version string
	Roles   []string
	Address func() string // under which people and taps reach this process
	Load    func() Load   // what it bears just now
}

// Member is this process among those that share the database. Use New.
type Member struct {
	cfg  Config
	deps Deps
	id   string
	host string

	metrics *metrics
	held    leases
	topics  topics
	tasks   workers

	stopped    atomic.Bool
	draining   atomic.Bool
	drainSince atomic.Pointer[time.Time]

	cancel  context.CancelFunc
	running context.Context
	working sync.WaitGroup

	mu       sync.Mutex
	beat     time.Time // of the last heartbeat that was written
	beatErr  error
	beatTook time.Duration

	beatBegan time.Time // of the heartbeat that is under way; zero is none
}

// New makes a member that has not shown itself yet.
func New(cfg Config, deps Deps) *Member {
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Address == nil {
		deps.Address = func() string { return "" }
	}
	if deps.Load == nil {
		deps.Load = func() Load { return Load{} }
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	m := &Member{
		cfg: cfg.complete(), deps: deps, id: database.NewID(), host: database.Text(host), metrics: newMetrics(deps.Metrics),
		held: leases{all: map[string]*Lease{}}, topics: newTopics(), tasks: newWorkers(),
	}
	m.running, m.cancel = context.WithCancel(context.Background())
	return m
}

// Guest makes a member that is on no list of nodes, and is never started: a
// server without the role node competes for leases with it, and announces. Its
// id begins with its host, since no list says where it is.
func Guest(cfg Config, deps Deps) *Member {
	m := New(cfg, deps)
	m.id = m.host + guestMark + m.id
	return m
}

// guestMark stands between the host and the rest of a guest's id.
const guestMark = "/"

// GuestHost is the host in the id of a guest; ok is false for a node's.
func GuestHost(id string) (host string, ok bool) {
	host, _, ok = strings.Cut(id, guestMark)
	return host, ok
}

// ID names this process among the members.
func (m *Member) ID() string { return m.id }

// Start writes the first heartbeat and begins to listen. Leases, topics and
// kinds of tasks are named before.
func (m *Member) Start(ctx context.Context) error {
	if err := m.register(ctx); err != nil {
		return fmt.Errorf("writing the node's first heartbeat: %w", err)
	}
	m.noteBeat(nil, 0)
	m.working.Go(func() { m.every(m.running, m.cfg.Heartbeat, m.heartbeat) })
	m.working.Go(func() { m.listen(m.running) })
	m.working.Go(func() { m.every(m.running, m.cfg.Heartbeat, m.poll) })
	m.working.Go(func() { m.takeTasks(m.running) })
	return nil
}

// Go runs a function in the background until Stop.
func (m *Member) Go(f func(ctx context.Context)) { m.working.Go(func() { f(m.running) }) }

// Stop lets go of the leases, ends what runs in the background and takes the
// process off the list.
func (m *Member) Stop(ctx context.Context) error {
	if m.stopped.Swap(true) {
		return nil
	}
	m.cancel()
	done := make(chan struct{})
	go func() {
		m.working.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	return m.leave(ctx)
}

// every calls f in each period.
func (m *Member) every(ctx context.Context, period time.Duration, f func(context.Context)) {
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

// pause waits for about so long and says whether to go on.
func pause(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	t := time.NewTimer(d/2 + rand.N(d/2+1))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
	case <-wake:
	}
	return true
}

// clock is the database's clock in microseconds: the one that all agree on.
func (m *Member) clock() string {
	if m.deps.DB.Engine() == database.PostgreSQL {
		return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"
	}
	return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS BIGINT) * 1000"
}

// lockRow ends a SELECT whose rows nobody may change before the transaction
// ends. On SQLite every writing transaction is alone.
func lockRow(e database.Engine, how string) string {
	if e == database.PostgreSQL {
		return " " + how
	}
	return ""
}
