package uplink

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/errs"
)

// SenderConfig says where reports go. Zero durations stand for the defaults.
type SenderConfig struct {
	URLs       []string      // of nodes, tried in turn: https://host:port
	Proxy      string        // "" takes HTTPS_PROXY and NO_PROXY
	Timeout    time.Duration // of one delivery (60s)
	MinBackoff time.Duration // 500ms
	MaxBackoff time.Duration // 60s
	UserAgent  string
}

// TLS says what is trusted of a host.
type TLS func(host string) (*tls.Config, error)

// SenderDeps are what a sender stands on. Token is asked before each delivery,
// so that a token can be renewed without a restart.
type SenderDeps struct {
	Spool     *Spool
	Token     func() (string, error)
	TLS       TLS               // nil is the system's
	Transport http.RoundTripper // nil is made of TLS and Proxy
	Log       *slog.Logger
	Metrics   prometheus.Registerer
	Now       func() time.Time
}

// Status is how delivery goes.
type Status struct {
	Committed   uint64        `json:"committed"`
	Duplicates  uint64        `json:"duplicates"`
	Quarantined uint64        `json:"quarantined"`
	Retries     uint64        `json:"retries"`
	LastSuccess time.Time     `json:"last_success"`
	LastError   string        `json:"last_error,omitempty"`   // since the last success
	LastRefusal string        `json:"last_refusal,omitempty"` // why the last report was put aside
	Denied      bool          `json:"denied"`                 // the token is not taken
	Skew        time.Duration `json:"clock_skew"`             // the node's clock minus ours
}

// Sender empties a spool, one report after the other, in order.
type Sender struct {
	cfg     SenderConfig
	deps    SenderDeps
	targets []target
	metrics *metrics

	run    sync.Mutex // one loop at a time
	turn   int        // index of the target in use; of the loop
	warned time.Time  // when the skew was told last; of the loop

	changed chan struct{} // there are other targets

	mu     sync.Mutex
	status Status
	next   []target // that replace targets before the next delivery; nil leaves them

	stop context.CancelFunc
	done chan struct{}
}

// NewSender makes a sender; Start starts it.
func NewSender(cfg SenderConfig, deps SenderDeps) (*Sender, error) {
	cfg.Timeout = cmp.Or(cfg.Timeout, time.Minute)
	cfg.MinBackoff = cmp.Or(cfg.MinBackoff, 500*time.Millisecond)
	cfg.MaxBackoff = cmp.Or(cfg.MaxBackoff, time.Minute)
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if len(cfg.URLs) == 0 {
		return nil, errs.New(errs.Invalid, "node.urls is empty: name the address of a node")
	}
	targets, err := newTargets(cfg, deps)
	if err != nil {
		return nil, err
	}
	return &Sender{cfg: cfg, deps: deps, targets: targets, changed: make(chan struct{}, 1), metrics: newMetrics(deps.Metrics, deps.Spool)}, nil
}

// Start begins to send in the background.
func (s *Sender) Start(context.Context) error {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop, s.done = cancel, make(chan struct{})
	go func() {
		defer close(s.done)
		s.loop(ctx)
	}()
	return nil
}

// Stop ends sending. What is still in the spool stays there.
func (s *Sender) Stop(ctx context.Context) error {
	if s.stop == nil {
		return nil
	}
	s.stop()
	select {
	case <-s.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, t := range s.targets {
		t.client.CloseIdleConnections()
	}
	return nil
}

// Status returns how delivery goes.
func (s *Sender) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

func (s *Sender) loop(ctx context.Context) {
	s.run.Lock()
	defer s.run.Unlock()
	failures := 0
	for ctx.Err() == nil {
		s.take()
		e, ok := s.deps.Spool.Oldest()
		if !ok || len(s.targets) == 0 {
			select {
			case <-ctx.Done():
			case <-s.changed:
			case <-s.deps.Spool.Wake():
			}
			continue
		}
		r := s.deliver(ctx, e)
		if r.done {
			failures = 0
			continue
		}
		failures++
		s.sleep(ctx, s.wait(r, failures))
	}
}

// Drain sends what is in the spool and returns when it is empty. Unlike the
// loop it gives up when the token is not taken, and when no node took a report
// in so many tries. progress, if any, is called after each report that left.
func (s *Sender) Drain(ctx context.Context, tries int, progress func(Status)) error {
	s.run.Lock()
	defer s.run.Unlock()
	failures := 0
	for {
		e, ok := s.deps.Spool.Oldest()
		if !ok {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		r := s.deliver(ctx, e)
		switch {
		case r.done:
			failures = 0
			if progress != nil {
				progress(s.Status())
			}
			continue
		case r.denied:
			return r.err
		}
		if failures++; failures >= tries {
			return r.err
		}
		s.sleep(ctx, s.wait(r, failures))
	}
}

// wait is how long to wait after failures in a row. As long as there are nodes
// that were not tried in this round, it is not at all.
func (s *Sender) wait(r result, failures int) time.Duration {
	if r.denied {
		return jitter(s.cfg.MaxBackoff)
	}
	if failures%len(s.targets) != 0 {
		return 0
	}
	backoff := s.cfg.MaxBackoff
	if round := failures/len(s.targets) - 1; round < 20 {
		backoff = min(backoff, s.cfg.MinBackoff<<round)
	}
	return max(jitter(backoff), r.after)
}

// jitter spreads taps that failed at the same moment: half to all of d.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

func (s *Sender) sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-s.changed: // tried at once, perhaps it is what was wrong
	case <-t.C:
	}
}
