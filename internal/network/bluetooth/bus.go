package bluetooth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
)

// bus is a connection on which every question has its time.
type bus struct {
	*dbus.Conn
	limit time.Duration // for an answer
}

// connect opens a connection to the bus, which ends with the context. One that
// is not ready within the limit, because nobody answers, is given up.
func connect(ctx context.Context, address string, limit time.Duration) (*bus, error) {
	if address == "" {
		address = SystemBus
	}
	type result struct {
		conn *dbus.Conn
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan result, 1)
	go func() {
		conn, err := dbus.Connect(address, dbus.WithContext(ctx))
		done <- result{conn, err}
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case r := <-done:
		if r.err != nil {
			cancel()
			return nil, fmt.Errorf("connect to the bus at %s: %w; start D-Bus and BlueZ (bluetooth.service), or set bluetooth.enabled to false", address, r.err)
		}
		context.AfterFunc(r.conn.Context(), cancel)
		return &bus{r.conn, limit}, nil
	case <-ctx.Done():
		cancel() // which also ends what waits for the answer
		return nil, ctx.Err()
	case <-timer.C:
		cancel()
		return nil, fmt.Errorf("connect to the bus at %s: nobody answered within %s; restart D-Bus (`systemctl restart dbus`), or see that bluetooth.address is the address of a bus", address, limit)
	}
}

// ask runs one question, for as long as an answer may take.
func (b *bus) ask(ctx context.Context, what string, question func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	err := question(limited)
	if err != nil && ctx.Err() == nil && errors.Is(limited.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%s: no answer within %s; restart D-Bus and BlueZ (`systemctl restart dbus bluetooth`)", what, b.limit)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
