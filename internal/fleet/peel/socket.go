package peel

import (
	"context"
	"time"

	"github.com/rind-project/rind/internal/fleet/bus"
)

// Socket is a connection to the bus that heals itself, as much of it as a peel
// needs. Any implementation passes the suite peeltest.
type Socket interface {
	// Publish sends a message and does not wait for it to arrive.
	Publish(subject string, data []byte) error
	// Test pings the server in the background. When several pings in a row are
	// not answered, the connection is given up for another.
	Test()
	// Call asks the masters. Done is called once, in whose goroutine soever, so
	// that it must not wait: with what bus.ReadAnswer reads of the answer, with
	// bus.ErrNoMaster when nobody listens, with context.DeadlineExceeded at the
	// end of the time, or with an error when the connection is lost, unless
	// forget is called before.
	Call(subject string, data []byte, limit time.Duration, done func([]byte, error)) (forget func())
	// Subscribe calls fn for each message on a subject, one at a time, and
	// returns when the server knows of it. The data is fn's to keep. Answers
	// come by one of these subjects, see bus.ToPeel, and are not for fn.
	Subscribe(subjects []string, fn func(subject string, data []byte)) error
	// Unsubscribe has fn called no more. Answers still come.
	Unsubscribe()
	// Connected reports whether the connection is up now.
	Connected() bool
	// Drain ends the subscriptions, waits for what is on its way, and closes;
	// it does so in the background.
	Drain()
	// Close ends it.
	Close()
}

// SocketEvents are told of what happens to a socket.
type SocketEvents struct {
	Up     func(Socket)        // after the first connect and each reconnect
	Down   func(Socket)        // when the connection was lost
	Closed func(Socket, error) // when it was given up, or closed
}

// Dialer opens a connection to the bus, and tries until the context ends, or
// once when the configuration says so. It sets the configuration's own events.
type Dialer func(context.Context, bus.ConnConfig, SocketEvents) (Socket, error)
