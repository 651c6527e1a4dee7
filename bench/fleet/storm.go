package main

import (
	"context"
	"fmt"
	"time"

	"github.com/rind-project/rind/bench/fleet/sim"
)

// storms lets everything happen at once: all connections cut, all facts told,
// half of the fleet away and back.
func (b *bench) storms(ctx context.Context) error {
	began := time.Now()
	if _, err := b.every(ctx, sim.Order{Do: "cut"}); err != nil {
		return err
	}
	if _, err := b.every(ctx, sim.Order{Do: "connected"}); err != nil {
		return err
	}
	if _, err := b.op.AwaitConnected(ctx, b.n); err != nil {
		return err
	}
	b.say("all %d connections cut at once: back and counted after %.1f s", b.n, time.Since(began).Seconds())
	began = time.Now()
	if err := b.factStorm(ctx); err != nil {
		return err
	}
	b.say("all facts told at once: stored and acknowledged after %.1f s (%.0f/s)", time.Since(began).Seconds(), float64(b.n)/time.Since(began).Seconds())
	return b.half(ctx)
}

// half sends every other peel away and lets it come back.
func (b *bench) half(ctx context.Context) error {
	began := time.Now()
	reports, err := b.every(ctx, sim.Order{Do: "away", Count: 2})
	if err != nil {
		return err
	}
	left := int(sum(reports, func(r sim.Report) float64 { return float64(r.Running) }))
	if _, err := b.op.AwaitConnected(ctx, left); err != nil {
		return err
	}
	b.say("%d peels went away: the master counts %d after %.1f s", b.n-left, left, time.Since(began).Seconds())
	j, err := b.op.Send(ctx, "*", "test.ping")
	if err != nil {
		return err
	}
	began = time.Now()
	if _, err := b.every(ctx, sim.Order{Do: "connect", AtOnce: b.perWorker()}); err != nil {
		return err
	}
	if _, err := b.op.AwaitConnected(ctx, b.n); err != nil {
		return err
	}
	b.say("they came back: all %d counted after %.1f s", b.n, time.Since(began).Seconds())
	// The job was sent while they were away; it is theirs until it expires.
	j, _, err = b.op.Follow(ctx, j)
	if err != nil {
		return err
	}
	if s := j.Summary; s.Answered != b.n || s.Missing != 0 || s.Failed != 0 {
		return fmt.Errorf("the job that was sent to half a fleet: %+v", s)
	}
	b.say("the job that was sent meanwhile: %d of %d answered", j.Summary.Answered, b.n)
	return nil
}

// reconnect restarts the server and waits until its master counts all.
func (b *bench) reconnect(ctx context.Context) error {
	s := b.servers[0]
	if err := s.Stop(); err != nil {
		return err
	}
	began := time.Now()
	if err := s.Start(); err != nil {
		return err
	}
	ready, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := s.Ready(ready); err != nil {
		return err
	}
	listening := time.Since(began)
	if _, err := b.op.AwaitConnected(ctx, b.n); err != nil {
		return err
	}
	took := time.Since(began)
	b.say("the server listens %.1f s after its start", listening.Seconds())
	b.add("reconnect", took.Seconds(), backLimit.Seconds(), "s", "from the server's start until its master counts all %d", b.n)
	took, _, err := b.op.Run(ctx, b.n, "test.ping")
	if err == nil {
		b.say("a ping of all after it: %d ms", took.Milliseconds())
	}
	return err
}
