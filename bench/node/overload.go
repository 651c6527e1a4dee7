package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

const (
	overloadTaps   = 200
	overloadMemory = 300 // MiB, the node's memory_limit
	overloadTimes  = 5   // what it can take
	overloadProbe  = 15 * time.Second
	overloadFor    = 15 * time.Second
	overloadAfter  = 10 // the load falls to so small a part of what it can take
	overloadDrain  = 10 * time.Minute
)

// measureOverload finds what a node takes when every tap always has something
// to send, has the taps make five times as much for a while, and looks how long
// it takes until what they keep meanwhile is delivered. Every tap sends one
// report after the other, as taps do, and tries again what was to wait.
func measureOverload(ctx context.Context, e *engine, bin string) error {
	s, err := startServer(ctx, e, bin, "overload", overloadTaps, fmt.Sprintf("memory_limit=%dMiB", overloadMemory))
	if err != nil {
		return err
	}
	defer func() { _ = s.stop() }()
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	o := &overload{s: s, load: &steady{s: s, size: reporttest.Size{Flows: flowsOf, DNS: 100, TLS: 50}}}
	o.made.Store(1 << 40) // there is always something
	done := make(chan error, 1)
	go func() { done <- o.run(limited) }()
	if err := o.watch(ctx, 5*time.Second); err != nil {
		return err
	}
	before := o.load.committed.Load()
	if err := o.watch(ctx, overloadProbe); err != nil {
		return err
	}
	capacity := float64(o.load.committed.Load()-before) / overloadProbe.Seconds()
	if capacity == 0 {
		return errors.New("the node takes nothing")
	}
	fmt.Printf("overload: %d taps, memory_limit %d MiB; the node takes %.1f reports of %d flows a second\n", overloadTaps, overloadMemory, capacity, flowsOf)
	o.made.Store(o.sent.Load())
	o.load.waited.Store(0)
	rate := capacity * overloadTimes
	if err := o.make(ctx, rate, overloadFor); err != nil {
		return err
	}
	kept := o.made.Load() - o.load.committed.Load()
	refused := o.load.waited.Load()
	fmt.Printf("  after %s of %.1f a second the taps keep %d reports; %d times one was told to wait\n", overloadFor, rate, kept, refused)
	fell := time.Now()
	for o.load.committed.Load() < o.made.Load() {
		if time.Since(fell) > overloadDrain {
			return fmt.Errorf("%d reports are kept %s after the load has fallen", o.made.Load()-o.load.committed.Load(), overloadDrain)
		}
		if err := o.make(ctx, capacity/overloadAfter, 5*time.Second); err != nil {
			return err
		}
		if o.made.Load()-o.load.committed.Load() <= int64(capacity) {
			break // what was made in this very second
		}
	}
	drained := time.Since(fell)
	cancel()
	if err := <-done; err != nil {
		return err
	}
	if err := counted(ctx, s.db, int(o.load.committed.Load())*flowsOf); err != nil {
		return err
	}
	fmt.Printf("RESULT name=overload-refused ours=%d limit=1 ratio=%d\n", refused, refused)
	fmt.Printf("RESULT name=overload-rss ours=%d limit=%d ratio=%.3f\n", o.most>>20, overloadMemory, float64(o.most>>20)/overloadMemory)
	fmt.Printf("RESULT name=overload-drained ours=%.0fs limit=%.0fs ratio=%.3f\n", drained.Seconds(), overloadDrain.Seconds(), drained.Seconds()/overloadDrain.Seconds())
	return nil
}

// overload are taps that share one count of what is to be sent.
type overload struct {
	s          *server
	load       *steady
	made, sent atomic.Int64
	most       int64 // bytes that the node took
}

// run sends what was made until the context ends.
func (o *overload) run(ctx context.Context) error {
	http1 := client(overloadTaps)
	defer http1.CloseIdleConnections()
	failed := make(chan error, overloadTaps)
	var working sync.WaitGroup
	for i := range o.s.taps {
		working.Go(func() {
			boot := reporttest.Boot(uint64(time.Now().UnixNano()))
			for sequence := uint64(1); ctx.Err() == nil; {
				if n := o.sent.Add(1); n > o.made.Load() {
					o.sent.Add(-1)
					time.Sleep(20 * time.Millisecond)
					continue
				}
				id := network.Identity{Tap: o.s.taps[i], Boot: boot, Sequence: sequence}
				sequence++
				body, err := report.Encode(reporttest.New(sequence<<16|uint64(i), id, time.Now(), o.load.size))
				if err == nil {
					err = o.load.send(context.WithoutCancel(ctx), http1, o.s.tokens[i], body)
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	working.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// make makes so many reports a second for a while.
func (o *overload) make(ctx context.Context, rate float64, long time.Duration) error {
	before, began := o.made.Load(), time.Now()
	for time.Since(began) < long {
		o.made.Store(before + int64(rate*time.Since(began).Seconds()))
		if err := o.watch(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// watch looks at the node's memory for a while.
func (o *overload) watch(ctx context.Context, long time.Duration) error {
	for end := time.Now().Add(long); ; {
		n, err := o.s.status("RssAnon:") // without the pages of its own file
		if err != nil {
			return err
		}
		if o.most = max(o.most, n); !time.Now().Before(end) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
