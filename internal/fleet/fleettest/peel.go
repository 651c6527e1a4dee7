package fleettest

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// Peel enrolls a peel and connects it.
func (w *World) Peel(id fleet.PeelID) *Peel {
	w.t.Helper()
	cfg, err := w.Enroll(id).BusConfig(Log())
	w.must(err)
	cfg.Once = true
	nc, err := bus.Connect(w.t.Context(), cfg)
	w.must(err)
	w.t.Cleanup(nc.Close)
	return &Peel{ID: id, NC: nc}
}

// Peel is a peel's connection, which asks as the peel's runtime does.
type Peel struct {
	ID fleet.PeelID
	NC *nats.Conn
}

// Ask asks the masters until one answers or refuses.
func (p *Peel) Ask(ctx context.Context, what string, data []byte) ([]byte, error) {
	return p.until(ctx, bus.AskSubject(p.ID, what), data)
}

// Event tells the masters of an event.
func (p *Peel) Event(ctx context.Context, name string, data []byte) error {
	_, err := p.until(ctx, bus.EventSubject(p.ID, name), data)
	return err
}

func (p *Peel) until(ctx context.Context, subject string, data []byte) ([]byte, error) {
	for {
		answer, err := Ask(ctx, p.NC, subject, data, 12*time.Second)
		if err == nil || errors.Is(err, bus.ErrRefused) || ctx.Err() != nil {
			return answer, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(50 * time.Millisecond):
		}
	}
}
