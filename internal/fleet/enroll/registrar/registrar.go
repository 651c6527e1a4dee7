// Package registrar is the server's half of enrollment: it makes tokens, checks
// what hosts say, keeps the records, and hands out permissions for the bus.
//
// Tokens are in SQL, where a single statement uses one up. Records are in the
// bucket enrollments; each write is acknowledged and bound to the revision
// that was read, so that two servers never decide about one host at once.
// Nonces are in the bucket enroll-challenges, which forgets them by itself.
package registrar

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/enroll"
)

// Config bounds what hosts may cause.
type Config struct {
	MaxPending int     `yaml:"max_pending" help:"enrollments that may wait for approval at once"`
	BeginRate  float64 `yaml:"begin_rate" help:"enrollments per second that one address may begin"`
	BeginBurst int     `yaml:"begin_burst" help:"enrollments that one address may begin at once"`
	AskRate    float64 `yaml:"ask_rate" help:"answers, polls and renewals per second from one address"`
	AskBurst   int     `yaml:"ask_burst" help:"answers, polls and renewals at once from one address"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{MaxPending: 10_000, BeginRate: 5, BeginBurst: 50, AskRate: 50, AskBurst: 500}
}

// Validate reports the first value that cannot be.
func (c Config) Validate() error {
	if c.MaxPending < 1 || c.BeginBurst < 1 || c.AskBurst < 1 {
		return errs.New(errs.Invalid, "enroll.max_pending, enroll.begin_burst and enroll.ask_burst have to be at least 1")
	}
	if !(c.BeginRate > 0) || !(c.AskRate > 0) {
		return errs.New(errs.Invalid, "enroll.begin_rate and enroll.ask_rate have to be more than 0")
	}
	return nil
}

// Issuer hands out and takes back permissions for the bus.
type Issuer interface {
	IssuePeel(pub string, id fleet.PeelID, ttl time.Duration) (string, error)
	Revoke(ctx context.Context, pub string) error   // closes its connections and refuses it; idempotent
	Unrevoke(ctx context.Context, pub string) error // does nothing for a key that is not revoked
	Suspend(ctx context.Context, pub string) error  // closes its connections and refuses what was issued until now
}

// Deps are what the registrar needs.
type Deps struct {
	DB        *database.DB
	JS        func() (jetstream.JetStream, error) // asked at Start
	Issuer    Issuer
	CAPEM     []byte                            // of the bus's certificate
	Pin       string                            // of the CA, as peels see it
	BusURLs   func(requestHost string) []string // how a peel that reached us under this host name reaches the bus; it fills in an empty host ("tls://:4222") itself
	FleetRoot ed25519.PublicKey
	Forget    func(ctx context.Context, id fleet.PeelID) error // purges what is known of a peel; optional
	// Audit writes into the trail what the server does by itself; optional.
	Audit   func(ctx context.Context, by, action, object, detail string) error
	Log     *slog.Logger
	Metrics prometheus.Registerer // optional
	Now     func() time.Time      // optional
}

// Registrar decides who is a peel.
type Registrar struct {
	cfg      Config
	deps     Deps
	begins   *limiter
	asks     *limiter
	requests *prometheus.CounterVec
	// suspensions counts peels that were kept off the bus, by the reason.
	suspensions *prometheus.CounterVec

	mu         sync.Mutex
	records    jetstream.KeyValue
	challenges jetstream.KeyValue
	index      *index
	cancel     context.CancelFunc
	done       sync.WaitGroup
}

// New makes a registrar that is not started.
func New(cfg Config, deps Deps) *Registrar {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	r := &Registrar{cfg: cfg, deps: deps, index: newIndex(),
		begins: newLimiter(cfg.BeginRate, cfg.BeginBurst, deps.Now), asks: newLimiter(cfg.AskRate, cfg.AskBurst, deps.Now)}
	r.register(deps.Metrics)
	return r
}

// Start opens the buckets, reads the records, and finishes revocations that a
// crash cut short.
func (r *Registrar) Start(ctx context.Context) error {
	if err := r.cfg.Validate(); err != nil {
		return err
	}
	js, err := r.deps.JS()
	if err != nil {
		return fmt.Errorf("the registrar needs the bus: %w", err)
	}
	var records, challenges jetstream.KeyValue
	for name, kv := range map[string]*jetstream.KeyValue{bus.Enrollments: &records, bus.EnrollChallenges: &challenges} {
		err := bus.Patiently(ctx, func() (err error) {
			*kv, err = js.KeyValue(ctx, name)
			return err
		})
		if err != nil {
			return bus.Explain(name, err)
		}
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	idx := newIndex()
	if err := idx.follow(ctx, running, records, &r.done, r.deps.Log); err != nil {
		cancel()
		return err
	}
	r.mu.Lock()
	r.records, r.challenges, r.index, r.cancel = records, challenges, idx, cancel
	r.mu.Unlock()
	r.done.Go(func() { r.janitor(running) })
	r.done.Go(func() { r.liftLoop(running) })
	if err := r.finishRevocations(ctx); err != nil {
		return errors.Join(err, r.Stop(ctx))
	}
	return nil
}

// Stop ends what goes on in the background.
func (r *Registrar) Stop(ctx context.Context) error {
	r.mu.Lock()
	cancel := r.cancel
	r.cancel, r.records, r.challenges = nil, nil, nil
	r.mu.Unlock()
	if cancel == nil {
		return nil
	}
	cancel()
	done := make(chan struct{})
	go func() { r.done.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping the registrar: %w", ctx.Err())
	}
}

// buckets returns the open buckets.
func (r *Registrar) buckets() (records, challenges jetstream.KeyValue, idx *index, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.records == nil {
		return nil, nil, nil, errs.New(errs.Unavailable, "enrollment is not ready; try again in a moment")
	}
	return r.records, r.challenges, r.index, nil
}

func (r *Registrar) register(reg prometheus.Registerer) {
	r.requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rind_enroll_requests_total", Help: "Enrollment exchanges by outcome (ok, or the kind of the refusal).",
	}, []string{"exchange", "outcome"})
	r.suspensions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rind_enroll_suspensions_total", Help: "Peels that were kept off the bus, by the reason: flood, copy.",
	}, []string{"reason"})
	for _, reason := range []string{fleet.SuspendedFlood, fleet.SuspendedCopy} {
		r.suspensions.WithLabelValues(reason)
	}
	if reg == nil {
		return
	}
	reg.MustRegister(r.requests, r.suspensions, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rind_enroll_suspended", Help: "Peels that are kept off the bus now.",
	}, func() float64 {
		r.mu.Lock()
		defer r.mu.Unlock()
		return float64(r.index.count(enroll.Suspended))
	}), prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rind_enroll_pending", Help: "Enrollments that wait for approval.",
	}, func() float64 {
		r.mu.Lock()
		defer r.mu.Unlock()
		return float64(r.index.count(enroll.Pending))
	}))
}

// count notes the outcome of an exchange.
func (r *Registrar) count(exchange string, err *error) {
	outcome := "ok"
	if *err != nil {
		outcome = errs.KindOf(*err).String()
	}
	r.requests.WithLabelValues(exchange, outcome).Inc()
}
