package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rind-project/rind/bench/fleet/lab"
	"github.com/rind-project/rind/bench/fleet/sim"
)

// Payloads whose bytes on the wire are counted.
const (
	factBytes    = 2 << 10
	stateBytes   = 10 << 10
	settingBytes = 5 << 10
)

// wire counts the bytes at the sockets that a peel needs for what moves data,
// beside what the same payload needs as a raw acknowledged publish.
func (b *bench) wire(ctx context.Context) error {
	r, err := b.rounds(ctx)
	if err != nil {
		return err
	}
	raw := func(bytes int) (float64, error) {
		return b.bytesOf(ctx, func() error { _, err := r.store(ctx, sim.RawStoreOff, bytes); return err })
	}
	limit, err := raw(factBytes)
	if err != nil {
		return err
	}
	facts, err := b.bytesOf(ctx, func() error { return b.factStorm(ctx) })
	if err != nil {
		return err
	}
	b.add("fact-sync", facts, limit, "B", "bytes of a peel both ways for changed facts; raw: %d bytes published and acknowledged", factBytes)
	if limit, err = raw(stateBytes); err != nil {
		return err
	}
	state, err := b.bytesOf(ctx, func() error {
		_, _, err := b.op.Run(ctx, b.n, "cmd.run", sim.CommandState+" "+strconv.Itoa(stateBytes))
		return err
	})
	if err != nil {
		return err
	}
	if err := b.settingsPush(ctx, raw); err != nil {
		return err
	}
	b.add("state-job", state, limit, "B", "bytes of a peel both ways for a job that returns %d bytes; raw: as many published and acknowledged", stateBytes)
	return nil
}

// settingsPush changes a layer of settings that is everybody's, and waits until
// every peel has the new one.
func (b *bench) settingsPush(ctx context.Context, raw func(int) (float64, error)) error {
	limit, err := raw(settingBytes)
	if err != nil {
		return err
	}
	// So that it is a change of what they have, and not the first they get.
	if _, err := b.push(ctx, "first"); err != nil {
		return err
	}
	took := time.Duration(0)
	bytes, err := b.bytesOf(ctx, func() error { took, err = b.push(ctx, "second"); return err })
	if err != nil {
		return err
	}
	b.add("settings-push", bytes, limit, "B", "bytes of a peel both ways for %d bytes of settings; %.1f s until all %d have them; raw: as many published and acknowledged", settingBytes, took.Seconds(), b.n)
	return nil
}

func (b *bench) push(ctx context.Context, mark string) (time.Duration, error) {
	const changed = "settings_total:changed"
	before, err := b.every(ctx, sim.Order{Do: "stats"})
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := b.op.Layer(ctx, "bench", fmt.Sprintf("mark: %s\ntext: %s\n", mark, strings.Repeat("0123456789abcdef", settingBytes/16))); err != nil {
		return 0, err
	}
	_, err = lab.Every(ctx, b.workers, func(w *lab.Worker) sim.Order {
		for i, other := range b.workers {
			if other == w {
				return sim.Order{Do: "await", Name: changed, Value: before[i].Counters[changed] + float64(w.Count), Limit: 5 * time.Minute}
			}
		}
		return sim.Order{}
	})
	return time.Since(began), err
}

// factStorm has all facts change and told at once, and waits until the last
// is acknowledged.
func (b *bench) factStorm(ctx context.Context) error {
	before, err := b.every(ctx, sim.Order{Do: "stats"})
	if err != nil {
		return err
	}
	if _, err := b.every(ctx, sim.Order{Do: "facts"}); err != nil {
		return err
	}
	want := sum(before, counter("facts_published_total")) + float64(b.n)
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); {
		now, err := b.every(ctx, sim.Order{Do: "stats"})
		if err != nil {
			return err
		}
		if sum(now, counter("facts_published_total")) >= want {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("not all facts are acknowledged after three minutes")
}

// bytesOf is how many bytes a peel moves while fn runs and settles.
func (b *bench) bytesOf(ctx context.Context, fn func() error) (float64, error) {
	before, err := b.every(ctx, sim.Order{Do: "stats"})
	if err != nil {
		return 0, err
	}
	if err := fn(); err != nil {
		return 0, err
	}
	if err := b.quiet(ctx); err != nil {
		return 0, err
	}
	after, err := b.every(ctx, sim.Order{Do: "stats"})
	if err != nil {
		return 0, err
	}
	return (sum(after, wireBytes) - sum(before, wireBytes)) / float64(b.n), nil
}
