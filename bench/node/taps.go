package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

const (
	manyTaps   = 1000
	tapsEvery  = 10 * time.Second
	tapsPart   = 30 * time.Second // alone, and beside a greedy tap
	tapsLimit  = time.Second      // for the 99th percentile of the answers
	greedyMore = 100              // times what each of the others sends
)

// measureTaps has a thousand taps send a report of 150 flows every ten seconds,
// each at a moment of its own, and then one more that sends a hundred times as
// many, all at once every ten seconds.
func measureTaps(ctx context.Context, e *engine, bin string) error {
	s, err := startServer(ctx, e, bin, "taps", manyTaps+1)
	if err != nil {
		return err
	}
	defer func() { _ = s.stop() }()
	size := reporttest.Size{Flows: 150, DNS: 15, TLS: 9}
	fmt.Printf("taps: %d with a report of %d flows every %s, %s alone and %s beside one that sends %d times more\n",
		manyTaps, size.Flows, tapsEvery, tapsPart, tapsPart, greedyMore)
	greedy := &server{url: s.url, taps: s.taps[manyTaps:], tokens: s.tokens[manyTaps:]}
	s.taps, s.tokens = s.taps[:manyTaps], s.tokens[:manyTaps]
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	load := &steady{s: s, size: size, every: tapsEvery}
	done := make(chan error, 1)
	go func() { done <- load.run(limited) }()
	time.Sleep(tapsEvery + 2*time.Second) // every tap has its connection
	load.p99()
	time.Sleep(tapsPart)
	alone := load.p99()
	taken, err := greedy.pour(ctx, size)
	if err != nil {
		return err
	}
	beside := load.p99()
	cancel()
	if err := <-done; err != nil {
		return err
	}
	if err := counted(ctx, s.db, (int(load.committed.Load())+taken)*size.Flows); err != nil {
		return err
	}
	fmt.Printf("  %d reports of the many and %d of the greedy one committed, %d of the many were to wait\n", load.committed.Load(), taken, load.waited.Load())
	for i, took := range [...]time.Duration{alone, beside} {
		fmt.Printf("RESULT name=%s ours=%.2fms limit=%.0fms ratio=%.3f\n", [...]string{"taps", "taps-beside-greedy"}[i], milli(took), milli(tapsLimit), took.Seconds()/tapsLimit.Seconds())
	}
	return nil
}

// pour has the one tap send a hundred reports at once, every ten seconds, and
// returns how many were committed.
func (s *server) pour(ctx context.Context, size reporttest.Size) (int, error) {
	http1 := client(greedyMore)
	defer http1.CloseIdleConnections()
	load := &steady{s: s, size: size}
	boot := reporttest.Boot(uint64(time.Now().UnixNano()))
	failed := make(chan error, greedyMore*int(tapsPart/tapsEvery))
	var sequence uint64
	for end := time.Now().Add(tapsPart); time.Now().Before(end); {
		next := time.Now().Add(tapsEvery)
		var all sync.WaitGroup
		for range greedyMore {
			sequence++
			id := network.Identity{Tap: s.taps[0], Boot: boot, Sequence: sequence}
			body, err := report.Encode(reporttest.New(sequence, id, time.Now(), size))
			if err != nil {
				return 0, err
			}
			all.Go(func() {
				if err := load.send(ctx, http1, s.tokens[0], body); err != nil {
					failed <- err
				}
			})
		}
		all.Wait()
		select {
		case err := <-failed:
			return 0, err
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Until(next)):
		}
	}
	return int(load.committed.Load()), nil
}
