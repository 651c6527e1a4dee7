package bus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/base/errs"
)

// ConnConfig is how to connect. Zero durations and numbers take the defaults
// of the design.
type ConnConfig struct {
	URLs        []string
	InProcess   nats.InProcessConnProvider // instead of URLs
	TLS         *tls.Config
	Name        string // shown in the server's connection list
	InboxPrefix string

	JWT  func() (string, error)             // asked at each connect, so that a renewed one is used
	Sign func(nonce []byte) ([]byte, error) // by the key that the JWT names
	Log  *slog.Logger
	Once bool // give up after the first attempt, rather than when the context ends

	MaxReconnects    int           // -1: for ever (the default)
	ReconnectWait    time.Duration // 2s, jittered
	ReconnectBufSize int           // 8 MB
	PingInterval     time.Duration // 20s
	MaxPingsOut      int           // 3
	DrainTimeout     time.Duration // 30s
	ConnectTimeout   time.Duration // 20s: a fleet that comes back at once waits at the server's door

	OnConnect    func(*nats.Conn)        // after the first connect and each reconnect; optional
	OnDisconnect func(*nats.Conn, error) // optional
	OnClosed     func(*nats.Conn)        // optional
	OnRefused    func(error)             // each time that the bus does not take the permission; optional
}

// Connect connects, and tries again with jitter until the context ends. Once
// connected, the connection heals itself for ever, also after the server has
// refused its credentials any number of times.
func Connect(ctx context.Context, cfg ConnConfig) (*nats.Conn, error) {
	cfg.fill()
	for {
		nc, err := nats.Connect(strings.Join(cfg.URLs, ","), cfg.options()...)
		if err == nil {
			if cfg.OnConnect != nil {
				cfg.OnConnect(nc)
			}
			return nc, nil
		}
		cfg.onRefused(err)
		err = cfg.explain(err)
		if cfg.Once {
			return nil, err
		}
		cfg.Log.Warn("cannot connect to the bus yet", "error", err, "urls", cfg.URLs)
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(cfg.wait()):
		}
	}
}

func (cfg *ConnConfig) fill() {
	setDefault(&cfg.MaxReconnects, -1)
	setDefault(&cfg.ReconnectWait, 2*time.Second)
	setDefault(&cfg.ReconnectBufSize, 8<<20)
	setDefault(&cfg.PingInterval, 20*time.Second)
	setDefault(&cfg.MaxPingsOut, 3)
	setDefault(&cfg.DrainTimeout, 30*time.Second)
	setDefault(&cfg.ConnectTimeout, 20*time.Second)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// wait is between half of ReconnectWait and one and a half, so that a fleet
// does not come back in step.
func (cfg *ConnConfig) wait() time.Duration {
	return cfg.ReconnectWait/2 + rand.N(cfg.ReconnectWait+1)
}

func (cfg *ConnConfig) options() []nats.Option {
	opts := []nats.Option{
		nats.Name(cfg.Name),
		nats.Timeout(cfg.ConnectTimeout),
		nats.MaxReconnects(cfg.MaxReconnects),
		nats.CustomReconnectDelay(func(int) time.Duration { return cfg.wait() }),
		nats.ReconnectBufSize(cfg.ReconnectBufSize),
		nats.PingInterval(cfg.PingInterval),
		nats.MaxPingsOutstanding(cfg.MaxPingsOut),
		nats.DrainTimeout(cfg.DrainTimeout),
		nats.IgnoreAuthErrorAbort(),
		nats.ErrorHandler(cfg.onError),
		nats.DisconnectErrHandler(cfg.onDisconnect),
		nats.ReconnectHandler(cfg.onReconnect),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { cfg.onRefused(err) }),
		nats.ClosedHandler(cfg.onClosed),
	}
	if cfg.InboxPrefix != "" {
		opts = append(opts, nats.CustomInboxPrefix(cfg.InboxPrefix))
	}
	if cfg.JWT != nil {
		opts = append(opts, nats.UserJWT(nats.UserJWTHandler(cfg.JWT), nats.SignatureHandler(cfg.Sign)))
	}
	if cfg.InProcess != nil {
		return append(opts, nats.InProcessServer(cfg.InProcess))
	}
	if cfg.TLS != nil {
		t := cfg.TLS.Clone()
		t.MinVersion = tls.VersionTLS13
		opts = append(opts, nats.Secure(t))
	}
	return opts
}

func (cfg *ConnConfig) onError(_ *nats.Conn, sub *nats.Subscription, err error) {
	args := []any{"error", err}
	if sub != nil {
		args = append(args, "subject", sub.Subject)
	}
	if errors.Is(err, nats.ErrPermissionViolation) {
		cfg.Log.Error("the bus refused what this connection may not do", args...)
		return
	}
	cfg.onRefused(err)
	if refused(err) {
		args = append(args, "hint", "the bus does not take this key's permission: rind enroll list on the server shows whether it was revoked; a revoked host comes back only with a new key and a new token")
	}
	cfg.Log.Warn("bus error", args...)
}

func (cfg *ConnConfig) onRefused(err error) {
	if cfg.OnRefused != nil && refused(err) {
		cfg.OnRefused(err)
	}
}

// refused reports whether the bus did not take the credentials.
func refused(err error) bool {
	return errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) || errors.Is(err, nats.ErrAuthRevoked)
}

func (cfg *ConnConfig) onDisconnect(nc *nats.Conn, err error) {
	if err != nil {
		cfg.Log.Warn("disconnected from the bus", "error", err)
	}
	if cfg.OnDisconnect != nil {
		cfg.OnDisconnect(nc, err)
	}
}

func (cfg *ConnConfig) onReconnect(nc *nats.Conn) {
	cfg.Log.Info("connected to the bus again", "url", nc.ConnectedUrlRedacted())
	if cfg.OnConnect != nil {
		cfg.OnConnect(nc)
	}
}

func (cfg *ConnConfig) onClosed(nc *nats.Conn) {
	if cfg.OnClosed != nil {
		cfg.OnClosed(nc)
	}
}

// explain says what a failed connect means to the one who configured it.
func (cfg *ConnConfig) explain(err error) error {
	where := strings.Join(cfg.URLs, ", ")
	var netErr net.Error
	switch {
	case refused(err):
		return errs.New(errs.Unauthorized, "the bus at %s refused this key: its permission is expired or revoked; see rind enroll list on the server: %w", where, err)
	case errors.Is(err, nats.ErrTimeout) || errors.As(err, &netErr) && netErr.Timeout(), strings.Contains(err.Error(), "expected 'INFO'"):
		return errs.New(errs.Unavailable, "connecting to %s: nothing there speaks NATS; is it the HTTPS port, or another service? the bus listens where nats.listen of the server says, 4222 by default: %w", where, err)
	case errors.Is(err, io.EOF):
		return errs.New(errs.Unavailable, "connecting to %s: the other side hung up before it spoke NATS; is it the HTTPS port, or another service? the bus listens where nats.listen of the server says, 4222 by default: %w", where, err)
	case errors.Is(err, nats.ErrSecureConnWanted):
		return errs.New(errs.Unavailable, "connecting to %s: it speaks NATS without TLS, so it is not this fleet's bus: %w", where, err)
	}
	return fmt.Errorf("connecting to the bus at %s: %w", where, err)
}
