package master

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/wait"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/master/guard"
	"github.com/rind-project/rind/internal/fleet/master/heartbeat"
	"github.com/rind-project/rind/internal/fleet/master/presence"
	"github.com/rind-project/rind/internal/fleet/master/record"
	"github.com/rind-project/rind/internal/fleet/master/returns"
	"github.com/rind-project/rind/internal/fleet/master/roster"
	"github.com/rind-project/rind/internal/fleet/pace"
)

// Master is one master of the fleet. Use New.
type Master struct {
	cfg     Config
	deps    Deps
	name    string // of the configuration, as a key
	log     *slog.Logger
	metrics *metrics
	died    chan error
	changes *changes

	mu  sync.Mutex
	now *live // nil while it does not run
}

// live is what a master has between Start and Stop.
type live struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	nc    *nats.Conn
	js    jetstream.JetStream
	facts jetstream.KeyValue
	jobs  jetstream.KeyValue

	roster    *roster.Peels
	presence  *presence.Book
	guard     *guard.Guard
	masters   *heartbeat.Masters
	records   *record.Store
	returns   *returns.Store
	board     *board
	intake    *intake
	returning *pace.Pace // of peels that ask what they missed
	room      func() error
	cutting   chan struct{} // a place for each peel that is being cut off
	subs      []*nats.Subscription
	dropped   int // messages that subs had no room for, counted already; sweepLoop's
}

// New makes a master that is not started.
func New(cfg Config, deps Deps) *Master {
	cfg.fill()
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	return &Master{cfg: cfg, deps: deps, name: keyName(cfg.Name), log: deps.Log, died: make(chan error, 1), changes: newChanges()}
}

// keyName makes a key of a name.
func keyName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, strings.ToLower(s))
	if s == "" {
		return "master"
	}
	return s
}

// Start loads what is known of the peels and takes up the jobs that an earlier
// master left open.
func (m *Master) Start(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now != nil {
		return errors.New("the master runs already")
	}
	if m.metrics == nil {
		reg, err := newMetrics(m.deps.Metrics)
		if err != nil {
			return err
		}
		m.metrics = reg
	}
	l := &live{nc: m.deps.NC(), js: m.deps.JS()}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	m.now = l
	if err := m.open(ctx, l); err != nil {
		l.end()
		l.wg.Wait()
		m.now = nil
		return err
	}
	return nil
}

func (m *Master) open(ctx context.Context, l *live) error {
	if err := m.furnish(ctx, l); err != nil {
		return err
	}
	if err := l.roster.Refresh(ctx); err != nil {
		return err
	}
	if err := m.listen(l); err != nil {
		return err
	}
	if err := m.follow(ctx, l); err != nil {
		return err
	}
	if err := m.watchControls(ctx, l); err != nil {
		return err
	}
	if err := m.takeIn(l); err != nil {
		return fmt.Errorf("taking in what peels say: %w", err)
	}
	if err := m.answerAsks(l); err != nil {
		return fmt.Errorf("answering what peels ask: %w", err)
	}
	if err := m.followMasters(ctx, l); err != nil {
		return err
	}
	if err := m.tellSettings(l); err != nil {
		return err
	}
	l.wg.Go(func() { l.masters.Run(l.ctx, func() { m.takeUp(l) }) })
	l.wg.Go(func() { m.sweepLoop(l) })
	return nil
}

// furnish makes the rooms that know and keep what a master needs; nothing is
// in them yet.
func (m *Master) furnish(ctx context.Context, l *live) error {
	var stored jetstream.KeyValue
	for name, kv := range map[string]*jetstream.KeyValue{bus.Facts: &l.facts, bus.Jobs: &l.jobs, bus.JobReturns: &stored} {
		err := bus.Patiently(ctx, func() (err error) {
			*kv, err = l.js.KeyValue(ctx, name)
			return err
		})
		if err != nil {
			return bus.Explain(name, err)
		}
	}
	if l.room = m.deps.Room; l.room == nil {
		l.room = func() error { return nil }
	}
	l.roster = roster.New(m.deps.Enrolled, m.deps.Settings)
	l.presence = presence.New(m.deps.System != nil)
	l.guard = guard.New(guard.Config{Flood: m.cfg.Flood, CopyGrace: m.cfg.CopyGrace, ListEvery: m.cfg.ListEvery}, guard.Deps{
		Log: m.log, Dropped: m.metrics.flooded, CutOff: func(id fleet.PeelID, s fleet.Suspension) { m.cutOff(l, id, s) }})
	l.masters = heartbeat.New(heartbeat.Config{Key: m.name, Name: m.cfg.Name, Version: m.deps.Version}, heartbeat.Deps{Log: m.log, JS: l.js})
	l.records = record.New(record.Deps{JS: l.js, Jobs: l.jobs, Room: l.room, Ending: l.ctx.Done()})
	l.returns = returns.New(returns.Deps{Bucket: stored, JS: l.js, Log: m.log, Malformed: m.metrics.stray.WithLabelValues("malformed")})
	l.board, l.returning, l.cutting = newBoard(), pace.New(1, 30), make(chan struct{}, cutWorkers)
	return nil
}

// Stop ends it. Jobs that run are left to the next start, or to another
// master.
func (m *Master) Stop(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.now
	if l == nil {
		return nil
	}
	m.now = nil
	writing, cancel := context.WithTimeout(ctx, storeWait)
	l.intake.close(writing)
	cancel()
	l.end()
	done := make(chan struct{})
	go func() { l.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping the master: %w", ctx.Err())
	}
}

func (l *live) end() {
	l.cancel()
	if l.intake != nil {
		l.intake.stop()
	}
	for _, s := range l.subs {
		_ = s.Unsubscribe() // fails on a closed connection, where nothing comes anyway
	}
}

// running returns what lives between Start and Stop.
func (m *Master) running() (*live, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now == nil {
		return nil, errs.New(errs.Unavailable, "the master does not run")
	}
	return m.now, nil
}

// Died yields why the master ended, if it ends by itself.
func (m *Master) Died() <-chan error { return m.died }

// sleep waits, and reports false when the master is stopped meanwhile.
func (l *live) sleep(d time.Duration) bool { return wait.For(l.ctx, d) }
