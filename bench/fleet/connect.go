package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/rind-project/rind/bench/fleet/lab"
	"github.com/rind-project/rind/bench/fleet/sim"
)

// Limits of what is no ratio.
const (
	enrollRate     = 1000              // a second
	connectedLimit = 300 * time.Second // all of 100,000
	memoryLimit    = 16 << 30          // all processes with 100,000
	pingAllLimit   = 8 * time.Second   // 100,000 answers
	backLimit      = 30 * time.Second  // 10,000 after a restart
	listLimit      = time.Second       // the first page of rind peel list, of 100,000
	idleLimit      = 100               // bytes a second of an idle peel
	enrollParallel = 64                // hosts that enroll at the same time
	settle         = 2 * time.Second   // before memory is read
	mib            = 1 << 20
)

// enroll enrolls all over HTTPS, each with a token and a key of its own.
func (b *bench) enroll(ctx context.Context) error {
	pin, err := b.servers[0].Pin()
	if err != nil {
		return err
	}
	if b.enrolled() {
		b.say("%d peels of an earlier run", b.n)
		_, err := lab.Every(ctx, b.workers, func(w *lab.Worker) sim.Order {
			return sim.Order{Do: "load", Server: b.servers[0].URL(), Pin: pin, First: w.First, File: w.File, Buses: b.buses()}
		})
		return err
	}
	reports, err := lab.Every(ctx, b.workers, func(w *lab.Worker) sim.Order {
		return sim.Order{Do: "enroll", Server: b.servers[0].URL(), Pin: pin, Socket: b.servers[0].Socket,
			First: w.First, Count: w.Count, AtOnce: max(4, enrollParallel/len(b.workers)), File: w.File, Buses: b.buses(), Limit: 30 * time.Minute}
	})
	if err != nil {
		return err
	}
	worst := func(what string) float64 {
		t := 0.0
		for _, r := range reports {
			t = max(t, r.Took[what])
		}
		return t
	}
	tokens, enrolled := worst("tokens"), worst("enroll")
	b.say("%d tokens in %.1f s (%.0f/s), %d enrolled in %.1f s", b.n, tokens, float64(b.n)/tokens, b.n, enrolled)
	b.add("enroll-interval", enrolled/float64(b.n)*1e3, 1e3/enrollRate, "ms", "%.0f enrollments a second: begin, answer, poll over HTTPS; tokens %.0f a second before", float64(b.n)/enrolled, float64(b.n)/tokens)
	return nil
}

// enrolled reports whether an earlier run has left the peels of all workers.
func (b *bench) enrolled() bool {
	return !slices.ContainsFunc(b.workers, func(w *lab.Worker) bool {
		_, err := os.Stat(w.File)
		return err != nil
	})
}

// connect connects a tenth first and then all, and waits until the master
// counts them.
func (b *bench) connect(ctx context.Context) error {
	consumersBefore, err := lab.Consumers(b.nc)
	if err != nil {
		return err
	}
	idleServers := b.serverRSS()
	began := time.Now()
	small := 0
	if _, err := lab.Every(ctx, b.workers, func(w *lab.Worker) sim.Order {
		return sim.Order{Do: "connect", Count: max(1, w.Count/10), AtOnce: b.perWorker()}
	}); err != nil {
		return err
	}
	for _, w := range b.workers {
		small += max(1, w.Count/10)
	}
	took := time.Since(began)
	consumersSmall, err := lab.Consumers(b.nc)
	if err != nil {
		return err
	}
	began = time.Now()
	if _, err := b.every(ctx, sim.Order{Do: "connect", AtOnce: b.perWorker()}); err != nil {
		return err
	}
	dialled := took + time.Since(began)
	counted, err := b.op.AwaitConnected(ctx, b.n)
	if err != nil {
		return err
	}
	b.say("%d connected in %.1f s (%.0f/s); the master counted them %.1f s later", b.n, dialled.Seconds(), float64(b.n)/dialled.Seconds(), counted.Seconds())
	b.add("connected", (dialled + counted).Seconds(), connectedLimit.Seconds(), "s", "until the master counts all %d; %.0f connections a second", b.n, float64(b.n)/dialled.Seconds())
	reports, err := b.everyOnes(ctx, "facts_published_total")
	if err != nil {
		return err
	}
	b.memory("after connecting", idleServers, reports)
	consumers, err := lab.Consumers(b.nc)
	if err != nil {
		return err
	}
	b.say("JetStream consumers: %d with no peel, %d with %d, %d with %d", consumersBefore, consumersSmall, small, consumers, b.n)
	b.add("consumers", float64(consumers), float64(consumersSmall), "", "with %d peels, and with %d", b.n, small)
	if consumers != consumersSmall {
		return fmt.Errorf("the number of consumers grew with the fleet")
	}
	return nil
}

// everyOnes waits until a counter has reached the number of peels.
func (b *bench) everyOnes(ctx context.Context, name string) ([]sim.Report, error) {
	return lab.Every(ctx, b.workers, func(w *lab.Worker) sim.Order {
		return sim.Order{Do: "await", Name: name, Value: float64(w.Count)}
	})
}

func (b *bench) serverRSS() int64 {
	total := int64(0)
	for _, s := range b.servers {
		total += s.RSS()
	}
	return total
}

// memory prints what all processes hold.
func (b *bench) memory(when string, before int64, reports []sim.Report) (total int64) {
	servers, peels := b.serverRSS(), int64(sum(reports, func(r sim.Report) float64 { return float64(r.RSS) }))
	b.say("memory %s: servers %d MiB (%.1f KiB a peel over the %d MiB before), simulated peels %d MiB (%.1f KiB each)", when,
		servers/mib, float64(servers-before)/float64(b.n)/1024, before/mib, peels/mib, float64(peels)/float64(b.n)/1024)
	return servers + peels
}

// pingAll pings all through the product, every answer counted, and reads the
// memory of all processes behind it.
func (b *bench) pingAll(ctx context.Context) error {
	var took durations
	for range 3 {
		t, _, err := b.op.Run(ctx, b.n, "test.ping")
		if err != nil {
			return err
		}
		took = append(took, t)
		if err := b.quiet(ctx); err != nil {
			return err
		}
	}
	b.say("ping of all: %s", took)
	b.add("ping-all", took.median().Seconds(), pingAllLimit.Seconds(), "s", "%d answers counted; the limit is that of 100,000", b.n)
	if err := b.peelList(ctx); err != nil {
		return err
	}
	after, err := b.every(ctx, sim.Order{Do: "stats"})
	if err != nil {
		return err
	}
	total := b.memory("after the pings", 0, after)
	b.add("memory", float64(total)/(1<<30), memoryLimit/(1<<30), "GiB", "all processes of %d peels, %.1f KiB for each with its server's part; the limit is that of 100,000", b.n, float64(total)/float64(b.n)/1024)
	return nil
}

// peelList times the command that lists peels: its first page, and that
// of those that a target means.
func (b *bench) peelList(ctx context.Context) error {
	for _, args := range [][]string{{"peel", "list", "-o", "json"}, {"peel", "list", "*77 and G@os:*", "-o", "json"}} {
		var took durations
		for range 5 {
			cmd := exec.CommandContext(ctx, b.bin, args...)
			cmd.Env = append(os.Environ(), "RIND_SOCKET="+b.servers[0].Socket)
			began := time.Now()
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("rind %s: %w: %s", strings.Join(args, " "), err, out)
			}
			took = append(took, time.Since(began))
		}
		name := "peel-list"
		if len(args) > 4 {
			name = "peel-list-target"
		}
		b.add(name, float64(took.median().Milliseconds()), float64(listLimit.Milliseconds()), "ms", "rind %s with %d peels, the process's start included; the limit is that of 100,000", strings.Join(args, " "), b.n)
	}
	return nil
}

// idleFleet watches a fleet that has nothing to do.
func (b *bench) idleFleet(ctx context.Context) error {
	before, err := b.every(ctx, sim.Order{Do: "collect"})
	if err != nil {
		return err
	}
	began := time.Now()
	select {
	case <-time.After(b.idle):
	case <-ctx.Done():
		return ctx.Err()
	}
	after, err := b.every(ctx, sim.Order{Do: "stats"})
	if err != nil {
		return err
	}
	bytes := sum(after, wireBytes) - sum(before, wireBytes)
	perSecond := bytes / time.Since(began).Seconds() / float64(b.n)
	b.memory("when idle", 0, after)
	b.add("idle-bytes", perSecond, idleLimit, "B/s", "of a peel, both ways, TLS included, over %s", b.idle)
	return nil
}
