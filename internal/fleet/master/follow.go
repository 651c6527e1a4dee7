package master

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/master/record"
)

// Pace of what a master does by itself.
const (
	sweepEvery = time.Second
	askEvery   = time.Minute
	startFor   = 30 * time.Second   // in which a bucket may come to have a leader
	keepJobs   = 7 * 24 * time.Hour // the life of the bucket jobs
)

// follow watches the facts and the jobs, and returns when what is stored has
// been read.
func (m *Master) follow(ctx context.Context, l *live) error {
	if err := m.watch(ctx, l, l.facts, bus.Facts, ">", func(e jetstream.KeyValueEntry) {
		if err := l.roster.Apply(e); err != nil {
			m.metrics.stray.WithLabelValues("facts").Inc()
			m.log.Warn("facts that cannot be read", "error", err)
		}
		m.changes.notify()
	}); err != nil {
		return err
	}
	return m.watch(ctx, l, l.jobs, bus.Jobs, "*", func(e jetstream.KeyValueEntry) {
		if e.Operation() != jetstream.KeyValuePut {
			l.board.remove(e.Key())
			return
		}
		r, err := record.Parse(e)
		if err != nil {
			m.log.Warn("a job's record cannot be read", "error", err)
			return
		}
		l.board.put(r)
		m.changes.notify()
	})
}

// followMasters watches the heartbeats, and returns when those that there are
// have been read.
func (m *Master) followMasters(ctx context.Context, l *live) error {
	kv, err := l.js.KeyValue(ctx, bus.MasterHeartbeat)
	if err != nil {
		return bus.Explain(bus.MasterHeartbeat, err)
	}
	return m.watch(ctx, l, kv, bus.MasterHeartbeat, "*", func(e jetstream.KeyValueEntry) {
		if err := l.masters.Apply(e); err != nil {
			select {
			case m.died <- err:
			default:
			}
		}
	})
}

// watch calls fn for all that a bucket holds, then returns, and goes on with
// what changes. There is one consumer per bucket and master, however many
// peels there are.
func (m *Master) watch(ctx context.Context, l *live, kv jetstream.KeyValue, bucket, keys string, fn func(jetstream.KeyValueEntry)) error {
	loaded := make(chan error, 1)
	l.wg.Go(func() {
		began := time.Now()
		for l.ctx.Err() == nil {
			err := l.watchOnce(kv, keys, fn, loaded)
			if l.ctx.Err() != nil {
				return
			}
			passing := bus.Passing(err)
			err = bus.Explain(bucket, err)
			if !passing || time.Since(began) > startFor {
				select {
				case loaded <- err:
				default:
				}
			}
			m.log.Error("the watch over a bucket ended; it is begun again", "bucket", bucket, "error", err)
			if !l.sleep(2 * time.Second) {
				return
			}
		}
	})
	select {
	case err := <-loaded:
		if err != nil {
			return fmt.Errorf("reading what is stored: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("reading the bucket %s: %w", bucket, ctx.Err())
	}
}

var errWatchEnded = errors.New("the bus ended the watch")

func (l *live) watchOnce(kv jetstream.KeyValue, keys string, fn func(jetstream.KeyValueEntry), loaded chan<- error) error {
	w, err := kv.Watch(l.ctx, keys)
	if err != nil {
		return err
	}
	defer func() { _ = w.Stop() }() // fails only when the connection is gone
	for {
		select {
		case <-l.ctx.Done():
			return nil
		case e, open := <-w.Updates():
			switch {
			case !open:
				return errWatchEnded
			case e == nil:
				select {
				case loaded <- nil:
				default:
				}
			default:
				fn(e)
			}
		}
	}
}

// sweepLoop takes up the jobs of masters that are not there any more, and
// keeps the list of enrolled peels current.
func (m *Master) sweepLoop(l *live) {
	asked := time.Now()
	for l.sleepUntil(sweepEvery, l.masters.Left()) {
		m.sweep(l)
		m.countDropped(l)
		if time.Since(asked) >= askEvery {
			asked = time.Now()
			ctx, cancel := context.WithTimeout(l.ctx, askEvery)
			if err := l.roster.Refresh(ctx); err != nil && l.ctx.Err() == nil {
				m.log.Warn("cannot read who is enrolled", "error", err)
			}
			cancel()
			l.board.expire(time.Now().Add(-keepJobs))
		}
		m.metrics.peels.WithLabelValues("enrolled").Set(float64(l.roster.Targets.Len()))
		m.metrics.peels.WithLabelValues("connected").Set(float64(l.presence.Count(time.Now())))
	}
}

// sweep takes up what nobody collects.
func (m *Master) sweep(l *live) {
	if !l.masters.Named() {
		return
	}
	for _, rec := range l.board.open(time.Now()) {
		if rec.Master != m.name {
			if l.masters.Alive(rec.Master) {
				continue
			}
		} else if time.Since(rec.Created) < time.Minute {
			continue // it is being sent, or was closed a moment ago
		}
		if l.board.run(rec.JID) == nil && l.board.begin(rec.JID) {
			l.wg.Go(func() {
				defer l.board.end(rec.JID)
				m.adopt(l, rec)
			})
		}
	}
}

// sleepUntil is sleep that a token on the channel ends early.
func (l *live) sleepUntil(d time.Duration, early <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-early:
	case <-l.ctx.Done():
		return false
	}
	return l.ctx.Err() == nil
}
