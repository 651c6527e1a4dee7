package peel

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/job"
)

// askWait is how long one try of a question may take. A master answers within
// ten seconds or not at all.
const askWait = 12 * time.Second

// Ask asks a master and tries again until the context ends or the master
// refuses.
func (h host) Ask(ctx context.Context, what string, data []byte) ([]byte, error) {
	return h.p.ask(ctx, bus.AskSubject(h.p.id, what), data)
}

// Vouched refuses what no master has said to this peel, and counts it.
func (h host) Vouched(w job.Word, said, proof []byte) error {
	h.p.mu.Lock()
	r := h.p.running
	h.p.mu.Unlock()
	if r == nil {
		return errStopping
	}
	if refusal := r.verify.Vouched(w, said, proof); refusal != nil {
		h.p.metrics.answers.WithLabelValues(refusal.Reason).Inc()
		return refusal
	}
	return nil
}

// Event tells the masters of an event, and returns when one has stored it.
func (h host) Event(ctx context.Context, name string, data []byte) error {
	_, err := h.p.ask(ctx, bus.EventSubject(h.p.id, name), data)
	return err
}

// ask sends a question until somebody answers it.
func (p *Peel) ask(ctx context.Context, subject string, data []byte) ([]byte, error) {
	p.mu.Lock()
	r := p.running
	p.mu.Unlock()
	if r == nil {
		return nil, errStopping
	}
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		answer, err := r.link.ask(ctx, subject, data, askWait)
		if err == nil || errors.Is(err, bus.ErrRefused) {
			return answer, err
		}
		p.metrics.retries.Inc()
		t := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, fmt.Errorf("no master has answered in time: %w", err)
		case <-r.ctx.Done():
			t.Stop()
			return nil, errStopping
		}
	}
}

// call sends a question once, and does not wait for what becomes of it.
func (l *link) call(subject string, data []byte, limit time.Duration, done func([]byte, error)) (forget func()) {
	s := l.current()
	if s == nil || !s.Connected() {
		done(nil, nats.ErrConnectionClosed)
		return func() {}
	}
	return s.Call(subject, data, limit, done)
}

// ask sends a question once, and waits.
func (l *link) ask(ctx context.Context, subject string, data []byte, limit time.Duration) ([]byte, error) {
	type answer struct {
		data []byte
		err  error
	}
	got := make(chan answer, 1)
	forget := l.call(subject, data, limit, func(data []byte, err error) { got <- answer{data, err} })
	select {
	case a := <-got:
		return a.data, a.err
	case <-ctx.Done():
		forget()
		return nil, ctx.Err()
	}
}
