package natsd

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
)

// logger writes nats-server's log into ours and remembers its last complaint,
// which nats-server does not return as an error.
type logger struct {
	log     *slog.Logger
	refused *prometheus.CounterVec // by reason: "tls", "auth", "permission"
	some    *rate.Limiter          // of the refusals that are logged
	fatal   chan string            // the first fatal line
	mu      sync.Mutex
	last    string
	broken  string // why a stream cannot be written to any more
}

func newLogger(log *slog.Logger, reg prometheus.Registerer) *logger {
	l := &logger{log: log, fatal: make(chan string, 1), some: rate.NewLimiter(5, 50), refused: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rind_bus_refused_total", Help: "Connections and messages that the bus refused.",
	}, []string{"reason"})}
	for _, reason := range []string{"tls", "auth", "permission"} {
		l.refused.WithLabelValues(reason)
	}
	if reg != nil {
		reg.MustRegister(l.refused)
	}
	return l
}

// Noticef is what the server tells about itself; it is for debugging here.
func (l *logger) Noticef(format string, v ...any) { l.log.Debug(text(format, v)) }

// Warnf logs a warning.
func (l *logger) Warnf(format string, v ...any) { l.log.Warn(text(format, v)) }

// Debugf logs for debugging, except what says that a client does not speak
// NATS over TLS.
func (l *logger) Debugf(format string, v ...any) {
	if strings.Contains(format, "TLS handshake error") {
		line := text(format, v)
		if reason, hint := classify(line); reason != "" {
			l.refuse(line, reason, hint)
		}
		return
	}
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug(text(format, v))
	}
}

// Tracef is off.
func (l *logger) Tracef(string, ...any) {}

// Fatalf logs what ends the server. It does not end the process.
func (l *logger) Fatalf(format string, v ...any) {
	line := text(format, v)
	l.remember(line)
	l.log.Error(line)
	select {
	case l.fatal <- line:
	default:
	}
}

// Errorf logs an error. What a stranger can cause by connecting is a warning,
// says what to do, and is counted.
func (l *logger) Errorf(format string, v ...any) {
	line := text(format, v)
	reason, hint := classify(line)
	if reason == "" {
		l.remember(line)
		l.noteLoss(line)
		l.log.Error(line)
		return
	}
	l.refuse(line, reason, hint)
}

// refuse counts a refusal, and logs it unless strangers cause too many.
func (l *logger) refuse(line, reason, hint string) {
	l.refused.WithLabelValues(reason).Inc()
	if l.some.Allow() {
		l.log.Warn(line, "reason", reason, "hint", hint)
	}
}

// classify recognises the lines about a client that was refused.
func classify(line string) (reason, hint string) {
	if !strings.Contains(line, "cid:") { // the number of a client's connection
		return "", ""
	}
	lower := strings.ToLower(line)
	switch {
	case strings.Contains(lower, "first record does not look like a tls handshake"), strings.Contains(lower, "tls handshake error"), strings.Contains(lower, "tls client handshake"):
		return "tls", "this is the bus port (nats.listen), which speaks NATS over TLS 1.3 only; if it was a browser, curl or another HTTP client, use the HTTPS address of the server instead"
	case strings.Contains(lower, "permissions violation"), strings.Contains(lower, "publish violation"), strings.Contains(lower, "subscription violation"):
		return "permission", "a client asked for a subject that is not its own"
	case strings.Contains(lower, "authentication"), strings.Contains(lower, "authorization"), strings.Contains(lower, "jwt"), strings.Contains(lower, "revoked"):
		return "auth", "unknown, expired or revoked key; rind enroll list shows who is enrolled"
	case strings.Contains(lower, "maximum subscriptions exceeded"), strings.Contains(lower, "maximum payload"):
		return "permission", "a client went over its limits"
	case strings.Contains(lower, "parser error"), strings.Contains(lower, "processpub"), strings.Contains(lower, "unknown protocol operation"):
		return "tls", "a client on the bus port does not speak NATS"
	}
	return "", ""
}

func (l *logger) remember(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = line
}

// noteLoss keeps the line in which the server says that a stream has failed for
// good.
func (l *logger) noteLoss(line string) {
	if !strings.Contains(line, "ritical write error") {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken == "" {
		l.broken = line
	}
}

// lost is that line, or "".
func (l *logger) lost() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken
}

// anew forgets what was said of a server that has ended.
func (l *logger) anew() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.broken = "", ""
}

// lastError is the last line of an error, or "".
func (l *logger) lastError() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

func text(format string, v []any) string { return strings.TrimSpace(fmt.Sprintf(format, v...)) }
