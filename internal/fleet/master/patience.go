package master

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/fleet/bus"
)

// Pace of writing what cannot be written just now.
const (
	patience   = 15 * time.Second // longer than an election takes
	patienceAt = 200 * time.Millisecond
)

// patiently does something with a bucket again, until it succeeds, fails for
// good, or an election would be over. A bucket that is gone fails at once.
func (l *live) patiently(ctx context.Context, bucket string, do func() error) error {
	for began := time.Now(); ; {
		err := do()
		if err == nil || !bus.Passing(err) || time.Since(began) > patience || ctx.Err() != nil || l.ctx.Err() != nil {
			return err
		}
		if _, gone := l.js.Stream(ctx, "KV_"+bucket); errors.Is(gone, jetstream.ErrStreamNotFound) {
			return gone
		}
		t := time.NewTimer(patienceAt)
		select {
		case <-t.C:
		case <-ctx.Done():
		case <-l.ctx.Done():
		}
		t.Stop()
	}
}
