// Package lifecycle starts the components of a daemon in order and stops them
// in reverse. A start that fails half-way is rolled back. A component that
// dies while the daemon runs ends the daemon, and its name is in the error.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Component is a part of a daemon. Its constructor does nothing but remember
// its dependencies.
//
// Start returns when the component serves; what goes on in the background
// outlives the context, which bounds only the starting. Stop ends it, is
// idempotent, may be called without a Start, and returns when the context
// ends at the latest.
type Component interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
}

// Dying is implemented by a component that can die by itself. The channel
// yields at most one error, which says why.
type Dying interface {
	Died() <-chan error
}

// StopTimeout bounds the stop of one component.
const StopTimeout = 15 * time.Second

// Group is a list of components. Use NewGroup.
type Group struct {
	log     *slog.Logger
	members []member

	mu      sync.Mutex
	started int
}

type member struct {
	name string
	Component
}

// NewGroup makes an empty group that logs what starts and stops.
func NewGroup(log *slog.Logger) *Group { return &Group{log: log} }

// Add appends a component. All components are added before Start.
func (g *Group) Add(name string, c Component) { g.members = append(g.members, member{name, c}) }

// Start starts the components in the order in which they were added. When one
// fails, those before it are stopped in reverse, and the error names it.
func (g *Group) Start(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range g.members[g.started:] {
		began := time.Now()
		if err := start(ctx, m); err != nil {
			err = fmt.Errorf("starting %s: %w", m.name, err)
			return errors.Join(err, g.stopLocked(context.WithoutCancel(ctx)))
		}
		g.started++
		g.log.Debug("component started", "component", m.name, "took", time.Since(began).Round(time.Millisecond))
	}
	return nil
}

// start does not begin with a component once the context has ended.
func start(ctx context.Context, m member) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return m.Start(ctx)
}

// Stop stops what was started, in reverse order, each within StopTimeout, and
// goes on when one fails. A second Stop does nothing.
func (g *Group) Stop(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stopLocked(ctx)
}

func (g *Group) stopLocked(ctx context.Context) error {
	var all []error
	for ; g.started > 0; g.started-- {
		m := g.members[g.started-1]
		stopping, cancel := context.WithTimeout(ctx, StopTimeout)
		if err := m.Stop(stopping); err != nil {
			all = append(all, fmt.Errorf("stopping %s: %w", m.name, err))
		}
		cancel()
		g.log.Debug("component stopped", "component", m.name)
	}
	return errors.Join(all...)
}

// Run starts the group, waits until the context ends or a component dies, and
// stops the group. It returns nil after an ordered end.
func (g *Group) Run(ctx context.Context) error {
	if err := g.Start(ctx); err != nil {
		return err
	}
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	died := g.Watch(watching)
	var cause error
	select {
	case <-ctx.Done():
	case cause = <-died:
		g.log.Error("component died", "error", cause)
	}
	return errors.Join(cause, g.Stop(context.WithoutCancel(ctx)))
}

// Watch returns a channel that yields the first death, with the name. It is
// for who calls Start and Stop instead of Run, and watches until the context
// ends.
func (g *Group) Watch(ctx context.Context) <-chan error {
	first := make(chan error, len(g.members))
	for _, m := range g.members {
		d, ok := m.Component.(Dying)
		if !ok {
			continue
		}
		go func() {
			select {
			case <-ctx.Done():
			case err := <-d.Died(): // nil when the channel was closed
				if err != nil {
					first <- fmt.Errorf("%s died: %w", m.name, err)
				}
			}
		}()
	}
	return first
}
