package fleettest

import (
	"context"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/job"
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
	return NewPeel(w.t, id, w.Bus.FleetKeys().Root.Public().(ed25519.PublicKey), nc)
}

// Peel is a peel's connection, which asks as the peel's runtime does.
type Peel struct {
	NC *nats.Conn

	id     fleet.PeelID
	verify *job.Verifier
}

// NewPeel makes a peel of a connection, with the root key of its fleet.
func NewPeel(t testing.TB, id fleet.PeelID, root ed25519.PublicKey, nc *nats.Conn) *Peel {
	t.Helper()
	v, err := job.NewVerifier(job.VerifierConfig{ID: id, Root: root})
	if err != nil {
		t.Fatal(err)
	}
	return &Peel{NC: nc, id: id, verify: v}
}

// ID returns the peel's id.
func (p *Peel) ID() fleet.PeelID { return p.id }

// Vouched refuses what no master has said to the peel.
func (p *Peel) Vouched(w job.Word, said, proof []byte) error {
	if r := p.verify.Vouched(w, said, proof); r != nil {
		return r
	}
	return nil
}

// Ask asks the masters until one answers or refuses.
func (p *Peel) Ask(ctx context.Context, what string, data []byte) ([]byte, error) {
	return p.until(ctx, bus.AskSubject(p.id, what), data)
}

// Event tells the masters of an event.
func (p *Peel) Event(ctx context.Context, name string, data []byte) error {
	_, err := p.until(ctx, bus.EventSubject(p.id, name), data)
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
