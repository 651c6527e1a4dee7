package database

import (
	"context"
	"sync"
)

// note is a message on a channel.
type note struct{ channel, message string }

// Notify tells whoever listens on the channel, in this process and in all
// others, when the transaction commits. A message can be lost, since a
// listener may be away: it only says sooner what a poll would find.
func (tx *Tx) Notify(ctx context.Context, channel, message string) error {
	if text := tx.dialect.Notify(); text != "" {
		_, err := tx.Exec(ctx, text, channel, message)
		return err
	}
	tx.notes = append(tx.notes, note{channel, message})
	return nil
}

// Listen calls heard for each message on a channel, and first with "" as soon
// as it listens, since anything may have been said before. It returns when the
// context ends, or with an error when the connection breaks: call it again.
func (db *DB) Listen(ctx context.Context, channel string, heard func(message string)) error {
	if db.dialect.Notify() != "" {
		return db.dialect.Listen(ctx, channel, heard)
	}
	messages, leave := db.local.join(channel)
	defer leave()
	heard("")
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-messages:
			heard(m)
		}
	}
}

// station passes messages around in one process.
type station struct {
	mu        sync.Mutex
	listeners map[chan string]string // and their channels
}

func newStation() *station { return &station{listeners: map[chan string]string{}} }

// waiting is how many messages wait for a listener that is busy; further ones
// are lost on it, which its poll makes good.
const waiting = 256

func (s *station) join(channel string) (<-chan string, func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := make(chan string, waiting)
	s.listeners[c] = channel
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.listeners, c)
	}
}

func (s *station) tell(notes []note) {
	if len(notes) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range notes {
		for c, channel := range s.listeners {
			if channel != n.channel {
				continue
			}
			select {
			case c <- n.message:
			default:
			}
		}
	}
}
