package peel

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"
)

// Calls are the questions of a socket that wait for an answer. Each is settled
// once: by its answer, by the end of its time, or because the connection is
// lost. The zero value is ready.
type Calls struct {
	mu      sync.Mutex
	mark    string // of this socket: during a renewal two share the peel's inbox
	asked   uint64
	waiting map[string]call // nil when none waits
}

type call struct {
	done  func([]byte, error)
	timer *time.Timer
}

// Open makes the name of a question's inbox, and has done called when it is
// settled, in whose goroutine soever, so that it must not wait.
func (c *Calls) Open(limit time.Duration, done func([]byte, error)) (token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mark == "" {
		c.mark = strconv.FormatUint(rand.Uint64(), 36) + "-"
	}
	c.asked++
	token = c.mark + strconv.FormatUint(c.asked, 36)
	if c.waiting == nil {
		c.waiting = map[string]call{}
	}
	c.waiting[token] = call{done, time.AfterFunc(limit, func() { c.Settle(token, nil, context.DeadlineExceeded) })}
	return token
}

// Settle ends a question, unless it has ended.
func (c *Calls) Settle(token string, data []byte, err error) {
	if done := c.take(token); done != nil {
		done(data, err)
	}
}

// Forget ends a question without a word.
func (c *Calls) Forget(token string) { c.take(token) }

func (c *Calls) take(token string) func([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w, waits := c.waiting[token]
	if !waits {
		return nil
	}
	w.timer.Stop()
	if delete(c.waiting, token); len(c.waiting) == 0 {
		c.waiting = nil // a peel that has nothing to ask holds no map
	}
	return w.done
}

// Fail ends all questions, whose answers cannot come any more.
func (c *Calls) Fail(err error) {
	c.mu.Lock()
	all := c.waiting
	c.waiting = nil
	c.mu.Unlock()
	for _, w := range all {
		w.timer.Stop()
		w.done(nil, err)
	}
}

// Waiting is how many wait.
func (c *Calls) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.waiting)
}
