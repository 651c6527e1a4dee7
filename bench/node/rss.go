package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

const (
	rssTaps   = 100
	rssEvery  = 10 * time.Second
	rssLimit  = 300 // MiB
	rssWarmUp = time.Minute
)

// measureRSS has 100 taps send a report of 5,000 flows every ten seconds, each
// at a moment of its own, and looks at the memory of the node every second.
// Flat is what the last fifth of the time takes against the first after a
// minute.
func measureRSS(ctx context.Context, e *engine, bin string, long time.Duration) error {
	s, err := startServer(ctx, e, bin, "rss", rssTaps)
	if err != nil {
		return err
	}
	defer func() { _ = s.stop() }()
	fmt.Printf("rss: %d taps with a report of %d flows every %s, for %s\n", rssTaps, flowsOf, rssEvery, long)
	limited, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	load := &steady{s: s, size: reporttest.Size{Flows: flowsOf, DNS: 100, TLS: 50}, every: rssEvery}
	done := make(chan error, 1)
	go func() { done <- load.run(limited) }()
	var all []int64
	start := time.Now()
	for tick := time.Tick(time.Second); limited.Err() == nil; <-tick {
		n, err := s.rss()
		if err != nil {
			return err
		}
		if all = append(all, n>>20); len(all)%30 == 0 {
			fmt.Printf("  after %4.0f s %4d MiB, %d reports committed, %d were to wait\n", time.Since(start).Seconds(), n>>20, load.committed.Load(), load.waited.Load())
		}
	}
	if err := <-done; err != nil {
		return err
	}
	if err := counted(ctx, s.db, int(load.committed.Load())*flowsOf); err != nil {
		return err
	}
	worst := float64(slices.Max(all))
	fmt.Printf("RESULT name=rss ours=%.0f limit=%d ratio=%.3f\n", worst, rssLimit, worst/rssLimit)
	warm := all[min(len(all)/5, int(rssWarmUp/time.Second)):]
	fifth := max(len(warm)/5, 1)
	first, last := median(warm[:fifth]), median(warm[len(warm)-fifth:])
	fmt.Printf("RESULT name=rss-flat ours=%d limit=%d ratio=%.3f\n", last, first, float64(last)/float64(first))
	fmt.Printf("RESULT name=rss-flows-per-second ours=%.0f limit=%d ratio=%.3f\n", float64(load.committed.Load()*flowsOf)/long.Seconds(),
		rssTaps*flowsOf/10, float64(load.committed.Load())/(long.Seconds()*rssTaps/10))
	return nil
}

func median(list []int64) int64 { return slices.Sorted(slices.Values(list))[len(list)/2] }

// steady sends reports of all taps of a server, each tap at its own moment of
// every turn.
type steady struct {
	s                 *server
	size              reporttest.Size
	every             time.Duration
	committed, waited atomic.Int64
	mu                sync.Mutex
	took              []time.Duration
}

// run sends until the context ends, and then waits for what is under way.
func (l *steady) run(ctx context.Context) error {
	http1 := client(len(l.s.taps))
	defer http1.CloseIdleConnections()
	failed := make(chan error, len(l.s.taps))
	var working sync.WaitGroup
	for i := range l.s.taps {
		working.Go(func() {
			boot := reporttest.Boot(uint64(time.Now().UnixNano()))
			next := time.Now().Add(l.every * time.Duration(i) / time.Duration(len(l.s.taps)))
			for sequence := uint64(1); ; sequence++ {
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Until(next)):
				}
				next = next.Add(l.every)
				id := network.Identity{Tap: l.s.taps[i], Boot: boot, Sequence: sequence}
				body, err := report.Encode(reporttest.New(sequence<<16|uint64(i), id, time.Now(), l.size))
				if err == nil {
					began := time.Now()
					err = l.send(context.WithoutCancel(ctx), http1, l.s.tokens[i], body)
					l.mu.Lock()
					l.took = append(l.took, time.Since(began))
					l.mu.Unlock()
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

// p99 returns the 99th percentile of the answers since the last call.
func (l *steady) p99() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	took := l.took
	l.took = nil
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}
