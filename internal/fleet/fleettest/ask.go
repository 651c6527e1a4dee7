package fleettest

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet/bus"
)

// Ask asks the masters over a connection of the client library, and returns
// what one of them answers, as a peel reads it.
func Ask(ctx context.Context, nc *nats.Conn, subject string, data []byte, limit time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	msg, err := nc.RequestWithContext(ctx, subject, data)
	if errors.Is(err, nats.ErrNoResponders) {
		return nil, bus.ErrNoMaster
	}
	if err != nil {
		return nil, err
	}
	return bus.ReadAnswer(msg.Data)
}

// Tell is Ask for a message that is answered by its mark alone.
func Tell(ctx context.Context, nc *nats.Conn, subject string, data []byte, limit time.Duration) error {
	_, err := Ask(ctx, nc, subject, data, limit)
	return err
}
