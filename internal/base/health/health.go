// Package health answers the two questions that a supervisor or a load
// balancer asks of a daemon: is the process alive (/healthz), and can it do its
// work just now (/readyz).
package health

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"
)

// The answer to /readyz is remembered for a moment, so that whoever asks it in
// a loop does not hammer the database through it.
const (
	checkTimeout = 3 * time.Second
	remember     = time.Second
	maxMessage   = 300 // bytes of an error that are shown
)

// Checks is the list of what must work for the daemon to be ready. Use New.
type Checks struct {
	mu       sync.Mutex // guards what follows
	checks   map[string]*check
	draining bool

	round  sync.Mutex // held by whoever runs the checks; guards what follows
	last   Status
	lastAt time.Time
}

// check is one named function and whether a run of it is under way: a check
// that hangs is not started again until it comes back.
type check struct {
	run  func(context.Context) error
	busy chan struct{} // holds one token while a run is under way
}

// Result is the outcome of one check.
type Result struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// Status is the answer to /readyz. The checks are sorted by name.
type Status struct {
	Ready    bool     `json:"ready"`
	Draining bool     `json:"draining,omitempty"`
	Checks   []Result `json:"checks"`
}

// New returns an empty list. Without checks a daemon is ready.
func New() *Checks { return &Checks{checks: map[string]*check{}} }

// Add adds a check, or replaces the one of that name. The function gets a
// context of a few seconds and may be called at any time, but never twice at
// once.
func (c *Checks) Add(name string, run func(context.Context) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checks[name] = &check{run: run, busy: make(chan struct{}, 1)}
}

// SetDraining makes the daemon not ready from now on: it is about to stop, and
// balancers should send their requests elsewhere.
func (c *Checks) SetDraining() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
}

// Draining reports whether SetDraining was called.
func (c *Checks) Draining() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draining
}

// Ready runs the checks, all at once, or returns what they said a moment ago.
func (c *Checks) Ready(ctx context.Context) Status {
	c.round.Lock()
	defer c.round.Unlock()
	if c.lastAt.IsZero() || time.Since(c.lastAt) >= remember {
		// The caller's end must not be remembered as the checks' failure.
		c.last = c.runAll(context.WithoutCancel(ctx))
		c.lastAt = time.Now()
	}
	status := c.last
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining {
		status.Ready, status.Draining = false, true
	}
	return status
}

func (c *Checks) runAll(ctx context.Context) Status {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	c.mu.Lock()
	results := make(chan Result, len(c.checks))
	n := len(c.checks)
	for name, check := range c.checks {
		go func() { results <- result(name, check.do(ctx)) }()
	}
	c.mu.Unlock()

	status := Status{Ready: true, Checks: make([]Result, 0, n)}
	for range n {
		r := <-results
		status.Ready = status.Ready && r.OK
		status.Checks = append(status.Checks, r)
	}
	sort.Slice(status.Checks, func(i, j int) bool { return status.Checks[i].Name < status.Checks[j].Name })
	return status
}

// do runs the check and returns when the context ends at the latest.
func (c *check) do(ctx context.Context) error {
	select {
	case c.busy <- struct{}{}:
	default:
		return errors.New("an earlier run of this check still hangs")
	}
	done := make(chan error, 1)
	go func() {
		defer func() { <-c.busy }()
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("the check panicked: %v", p)
			}
		}()
		done <- c.run(ctx)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("no answer within %s", checkTimeout)
	}
}

func result(name string, err error) Result {
	if err == nil {
		return Result{Name: name, OK: true}
	}
	text := err.Error()
	return Result{Name: name, Error: text[:min(len(text), maxMessage)]}
}
