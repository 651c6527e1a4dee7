package peel

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rind-project/rind/internal/base/wait"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/job/function"
)

// Peel is the runtime of one peel. Use New.
type Peel struct {
	cfg       Config
	deps      Deps
	creds     Credentials
	id        fleet.PeelID
	mark      string // of this process, in the names of its connections
	root      ed25519.PublicKey
	log       *slog.Logger
	metrics   *metrics
	sharing   *sharing
	functions *function.Registry
	died      chan error

	mu      sync.Mutex
	running *running
}

// running is what lives between Start and Stop.
type running struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	seen    *job.Seen
	spool   *job.Spool
	verify  *job.Verifier
	queue   *queue
	link    *link
	courier *courier
	active  *active
	catcher catcher

	settings *keeper
	hello    atomic.Bool // the next heartbeat is for masters: there is a new connection

	mu     sync.Mutex
	facts  *time.Timer // set off to look at the facts; nil before the first connection
	closed bool        // begin starts nothing any more
	wg     sync.WaitGroup
}

// begin runs fn in the background, unless the peel is being stopped.
func (r *running) begin(fn func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.wg.Go(fn)
	}
}

// wait returns when all that was begun has ended.
func (r *running) wait() {
	r.queue.wait()
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.wg.Wait()
}

var errStopping = errors.New("the peel is stopping")

// New makes a peel that is not started.
func New(cfg Config, deps Deps) *Peel {
	cfg.fill()
	if deps.Dial == nil {
		deps.Dial = dialNATS
	}
	p := &Peel{cfg: cfg, deps: deps, creds: deps.Credentials, mark: bus.NewMark(), log: deps.Log, died: make(chan error, 1)}
	if p.creds == nil && deps.Identity != nil {
		p.creds = enrolled{deps.Identity}
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	return p
}

// Start begins to connect and returns: a bus that is away is waited for in the
// background. It fails when the state folder cannot be used.
func (p *Peel) Start(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running != nil {
		return errors.New("the peel runs already")
	}
	if p.creds == nil {
		return errors.New("the peel has no identity; enroll it first")
	}
	p.id, p.root = p.creds.Who()
	if err := p.takeShared(); err != nil {
		return err
	}
	r, err := p.open()
	if err != nil {
		return err
	}
	p.running = r
	r.courier.resume()
	r.link.start()
	r.begin(func() { p.shareLoop(r) })
	return nil
}

// takeShared takes what peels of one process have in common, or makes it for this
// one alone.
func (p *Peel) takeShared() error {
	if p.metrics != nil {
		return nil
	}
	if p.deps.Shared == nil {
		if p.deps.Functions == nil {
			p.deps.Functions = function.All()
		}
		var err error
		if p.deps.Shared, err = NewShared(p.deps.Functions, p.deps.Metrics); err != nil {
			return err
		}
	}
	s := p.deps.Shared
	p.metrics, p.sharing, p.functions = s.metrics, s.sharing, s.functions
	return nil
}

// open opens the state and answers the jobs that the last process left
// without an answer.
func (p *Peel) open() (*running, error) {
	r := &running{active: newActive()}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	seenFile, spoolDir, settingsPath := "", "", ""
	if p.cfg.StateDir != "" {
		if err := os.MkdirAll(p.cfg.StateDir, 0o700); err != nil {
			return nil, fmt.Errorf("opening the peel's state folder: %w", err)
		}
		seenFile, spoolDir = filepath.Join(p.cfg.StateDir, "seen-jobs"), filepath.Join(p.cfg.StateDir, "returns")
		settingsPath = filepath.Join(p.cfg.StateDir, settingsFile)
	}
	var err error
	if r.seen, err = job.OpenSeen(seenFile, time.Now()); err != nil {
		return nil, err
	}
	if r.spool, err = job.OpenSpool(spoolDir); err != nil {
		return nil, errors.Join(err, r.seen.Close())
	}
	r.verify, err = job.NewVerifier(job.VerifierConfig{ID: p.id, Root: p.root, Seen: r.seen, Now: p.deps.Now,
		Refused: p.metrics.refused, Passed: p.deps.Shared.passed})
	if err != nil {
		return nil, errors.Join(err, r.seen.Close())
	}
	r.queue = newQueue(p.cfg.Workers)
	r.link = newLink(p, r)
	r.courier = newCourier(p, r)
	r.settings = openSettings(p, r, settingsPath)
	p.interrupted(r)
	return r, nil
}

// interrupted answers for the jobs that were begun before this process. How
// far they came is not known, so they are not run again.
func (p *Peel) interrupted(r *running) {
	for _, jid := range r.seen.Unanswered() {
		if !r.spool.Has(jid) {
			now := time.Now().UTC()
			ret := fleet.Return{JID: jid, Peel: p.id, Reason: job.ReasonInterrupted, Started: now, Finished: now,
				Error: "the peel was ended while the job ran; how far it came is not known"}
			b, err := job.Encode(ret)
			if err == nil {
				err = r.spool.Put(jid, b, true)
			}
			if err != nil {
				p.log.Error("cannot keep the return of an interrupted job", "jid", jid, "error", err)
				continue
			}
		}
		if err := r.seen.Answered(jid, time.Now()); err != nil {
			p.log.Error("cannot note a job as answered", "jid", jid, "error", err)
		}
	}
}

// Stop ends what runs, keeps the returns that are not acknowledged yet, and
// closes the connection.
func (p *Peel) Stop(ctx context.Context) error {
	p.mu.Lock()
	r := p.running
	p.running = nil
	p.mu.Unlock()
	if r == nil {
		return nil
	}
	r.link.quiet()
	r.queue.close()
	r.cancel(errStopping)
	done := make(chan struct{})
	go func() { r.wait(); close(done) }()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("stopping the peel: %w", ctx.Err())
	}
	r.link.close()
	return errors.Join(err, r.seen.Close())
}

// Died yields why the peel ended, if it ends by itself.
func (p *Peel) Died() <-chan error { return p.died }

// LookAtFacts has the facts collected now, and published when they changed.
func (p *Peel) LookAtFacts() {
	p.mu.Lock()
	r := p.running
	p.mu.Unlock()
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.facts != nil {
		r.facts.Reset(0)
	}
}

// RenewNow has the permission for the bus renewed before its time.
func (p *Peel) RenewNow() {
	p.mu.Lock()
	r := p.running
	p.mu.Unlock()
	if r != nil {
		r.link.renewSoon()
	}
}

// Connected reports whether the peel is on the bus now.
func (p *Peel) Connected() bool {
	p.mu.Lock()
	r := p.running
	p.mu.Unlock()
	return r != nil && r.link.up()
}

// sleep waits, and reports false when the peel is stopped meanwhile.
func (r *running) sleep(d time.Duration) bool { return wait.For(r.ctx, d) }
