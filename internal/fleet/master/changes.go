package master

import (
	"context"
	"sync"
	"time"
)

// quietly is how long changes are gathered before they are told as one.
const quietly = 150 * time.Millisecond

// changes tells any number of listeners that something has changed.
type changes struct {
	mu        sync.Mutex
	listeners map[chan struct{}]bool
	pending   bool
}

func newChanges() *changes { return &changes{listeners: map[chan struct{}]bool{}} }

func (c *changes) notify() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending || len(c.listeners) == 0 {
		return
	}
	c.pending = true
	time.AfterFunc(quietly, c.tell)
}

func (c *changes) tell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = false
	for l := range c.listeners {
		select {
		case l <- struct{}{}:
		default: // it has one to read already
		}
	}
}

func (c *changes) listen(ctx context.Context) <-chan struct{} {
	l := make(chan struct{}, 1)
	c.mu.Lock()
	c.listeners[l] = true
	c.mu.Unlock()
	context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.listeners, l)
		close(l)
	})
	return l
}

// Changes yields when something about hosts or jobs has changed; changes in
// quick succession come as one. The channel is closed when ctx ends.
func (m *Master) Changes(ctx context.Context) <-chan struct{} { return m.changes.listen(ctx) }
