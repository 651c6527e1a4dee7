// Package access knows the people and programs that use a server: users and
// their roles, browser sessions, API tokens, and the audit trail of what they
// did. Its Guard stands in front of every route.
//
// Nothing secret is stored in clear: passwords as Argon2id hashes, the secrets
// of sessions and tokens, which are 256 random bits, as SHA-256.
package access

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/access/limit"
	"github.com/rind-project/rind/internal/access/password"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
)

// Config is what an operator may choose.
type Config struct {
	SessionTTL  time.Duration `yaml:"session_ttl" help:"how long a browser session lives at most"`
	SessionIdle time.Duration `yaml:"session_idle" help:"how long a browser session lives without being used"`
	TokenTTL    time.Duration `yaml:"token_ttl" help:"how long an API token lives when its maker says nothing"`
	AuditKeep   time.Duration `yaml:"audit_keep" help:"how long the audit trail is kept"`
}

// MaxTokenTTL is the longest life of an API token.
const MaxTokenTTL = 366 * 24 * time.Hour

// DefaultConfig returns what most keep.
func DefaultConfig() Config {
	return Config{SessionTTL: 12 * time.Hour, SessionIdle: 2 * time.Hour, TokenTTL: 90 * 24 * time.Hour, AuditKeep: 400 * 24 * time.Hour}
}

// Validate says what cannot be.
func (c Config) Validate() error {
	switch {
	case c.SessionTTL < time.Minute || c.SessionTTL > 30*24*time.Hour:
		return errs.New(errs.Invalid, "session_ttl is %s; it must be from 1m to 720h", c.SessionTTL)
	case c.SessionIdle < time.Minute || c.SessionIdle > 30*24*time.Hour:
		return errs.New(errs.Invalid, "session_idle is %s; it must be from 1m to 720h", c.SessionIdle)
	case c.TokenTTL < time.Minute || c.TokenTTL > MaxTokenTTL:
		return errs.New(errs.Invalid, "token_ttl is %s; it must be from 1m to %s", c.TokenTTL, MaxTokenTTL)
	case c.AuditKeep < 24*time.Hour:
		return errs.New(errs.Invalid, "audit_keep is %s; it must be at least 24h", c.AuditKeep)
	}
	return nil
}

// withDefaults fills what is zero.
func (c Config) withDefaults() Config {
	d := DefaultConfig()
	set := func(v *time.Duration, to time.Duration) {
		if *v == 0 {
			*v = to
		}
	}
	set(&c.SessionTTL, d.SessionTTL)
	set(&c.SessionIdle, d.SessionIdle)
	set(&c.TokenTTL, d.TokenTTL)
	set(&c.AuditKeep, d.AuditKeep)
	return c
}

// Deps is what the service needs. Metrics and Now may be nil.
type Deps struct {
	DB      *database.DB
	Log     *slog.Logger
	Metrics prometheus.Registerer
	Now     func() time.Time
}

// Service is the room's service. Use New.
type Service struct {
	cfg     Config
	db      *database.DB
	log     *slog.Logger
	now     func() time.Time
	hasher  *password.Hasher
	limiter *limit.Limiter
	metrics *metrics

	mu   sync.Mutex
	stop context.CancelFunc
	done chan struct{}
}

// New makes a service that does nothing in the background until Start; all
// else works without it.
func New(cfg Config, deps Deps) *Service {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{
		cfg: cfg.withDefaults(), db: deps.DB, log: deps.Log, now: deps.Now,
		hasher: password.New(), limiter: limit.New(deps.Now), metrics: newMetrics(deps.Metrics),
	}
}

// janitorEvery is how often what has expired is deleted.
const janitorEvery = time.Hour

// Start begins to delete what has expired, now and then.
func (s *Service) Start(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	s.stop, s.done = cancel, done
	go func() {
		defer close(done)
		s.clean(ctx)
	}()
	return nil
}

// Stop ends the deleting.
func (s *Service) Stop(ctx context.Context) error {
	s.mu.Lock()
	stop, done := s.stop, s.done
	s.stop = nil
	s.mu.Unlock()
	if stop == nil {
		return nil
	}
	stop()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// clean deletes until the context ends.
func (s *Service) clean(ctx context.Context) {
	ticker := time.NewTicker(janitorEvery)
	defer ticker.Stop()
	for {
		if err := s.Expire(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("deleting expired sessions failed, trying again later", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Expire deletes what has expired: sessions, tokens a month after their end
// (until then the list shows them), known addresses after half a year, and
// the old end of the audit trail.
func (s *Service) Expire(ctx context.Context) error {
	const day = 24 * time.Hour
	now := s.now()
	for _, d := range []struct {
		q      string
		before time.Time
	}{
		{`DELETE FROM access_sessions WHERE expires_at <= $1`, now},
		{`DELETE FROM access_sessions WHERE used_at <= $1`, now.Add(-s.cfg.SessionIdle)},
		{`DELETE FROM access_tokens WHERE expires_at <= $1`, now.Add(-30 * day)},
		{`DELETE FROM access_known WHERE seen_at <= $1`, now.Add(-180 * day)},
		{`DELETE FROM access_audit WHERE at <= $1`, now.Add(-s.cfg.AuditKeep)},
	} {
		if _, err := s.db.Exec(ctx, d.q, database.Micros(d.before)); err != nil {
			return err
		}
	}
	return nil
}
