package server

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/natsd"
)

// busClient is the server's own two connections to the bus.
type busClient struct {
	daemon *natsd.Server
	log    *slog.Logger

	nc, system *nats.Conn
	js         jetstream.JetStream
}

// Start connects.
func (b *busClient) Start(ctx context.Context) (err error) {
	if b.nc, err = b.connect(ctx, "server", b.daemon.ServerUser); err != nil {
		return err
	}
	if b.system, err = b.connect(ctx, "presence", b.daemon.SystemUser); err != nil {
		return err
	}
	if b.js, err = jetstream.New(b.nc); err != nil {
		return fmt.Errorf("opening JetStream: %w", err)
	}
	return nil
}

func (b *busClient) connect(ctx context.Context, name string, user func() (string, func([]byte) ([]byte, error), error)) (*nats.Conn, error) {
	token, sign, err := user()
	if err != nil {
		return nil, fmt.Errorf("making the bus user %s: %w", name, err)
	}
	nc, err := bus.Connect(ctx, bus.ConnConfig{
		InProcess: b.daemon.InProcess(), Name: "rind " + name, Log: b.log, Sign: sign,
		JWT: func() (string, error) { return token, nil },
	})
	if err != nil {
		return nil, fmt.Errorf("connecting %s to the bus: %w", name, err)
	}
	return nc, nil
}

// Stop closes the connections.
func (b *busClient) Stop(context.Context) error {
	for _, nc := range []*nats.Conn{b.nc, b.system} {
		if nc != nil {
			nc.Close()
		}
	}
	return nil
}
