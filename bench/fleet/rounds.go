package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/bench/fleet/lab"
	"github.com/rind-project/rind/bench/fleet/sim"
)

// Sizes of the messages of a raw round: those of a ping's job and return.
const (
	jobBytes    = 700
	returnBytes = 260
	rawStream   = "bench"
	rawLimit    = time.Minute // of a round: of 100,000 on two processors
)

// rawRounds sends messages over the connections of the peels, with nothing
// behind them.
type rawRounds struct {
	b     *bench
	key   ed25519.PrivateKey
	heard atomic.Int64
}

// rounds moves the peels to permissions that allow the raw rounds, once.
func (b *bench) rounds(ctx context.Context) (*rawRounds, error) {
	if b.raw != nil {
		return b.raw, nil
	}
	account, err := lab.Account(b.servers[0])
	if err != nil {
		return nil, err
	}
	seed, err := account.Seed()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if _, err := b.every(ctx, sim.Order{Do: "permit", Seed: string(seed), AtOnce: b.perWorker()}); err != nil {
		return nil, err
	}
	b.say("%d renewals in %.1f s: a second connection each before the first was drained; the permissions now hold the raw rounds' subjects too", b.n, time.Since(began).Seconds())
	r := &rawRounds{b: b}
	if _, r.key, err = ed25519.GenerateKey(nil); err != nil {
		return nil, err
	}
	if _, err := b.nc.Subscribe("bench.peel.*", func(*nats.Msg) { r.heard.Add(1) }); err != nil {
		return nil, err
	}
	js, err := b.nc.JetStream()
	if err != nil {
		return nil, err
	}
	// As the bucket of the returns is: in files, replicated as it is.
	returns, err := js.StreamInfo("KV_job-returns")
	if err != nil {
		return nil, err
	}
	if _, err := js.AddStream(&nats.StreamConfig{Name: rawStream, Subjects: []string{sim.RawStored + "*"}, Storage: nats.FileStorage,
		Replicas: returns.Config.Replicas, MaxBytes: 256 << 20}); err != nil {
		return nil, fmt.Errorf("making the stream of the raw rounds: %w", err)
	}
	if _, err := b.every(ctx, sim.Order{Do: "connected"}); err != nil {
		return nil, err
	}
	if _, err := b.every(ctx, sim.Order{Do: "collect"}); err != nil {
		return nil, err
	}
	b.raw = r
	return r, b.nc.Flush()
}

// message is what is sent to all, signed.
func (r *rawRounds) message(kind byte, size int) []byte {
	body := make([]byte, size)
	m := append([]byte{kind}, r.key.Public().(ed25519.PublicKey)...)
	m = append(m, ed25519.Sign(r.key, body)...)
	return append(m, body...)
}

// arm sets what the peels answer.
func (r *rawRounds) arm(ctx context.Context, bytes int) error {
	r.heard.Store(0)
	_, err := r.b.every(ctx, sim.Order{Do: "arm", Bytes: bytes})
	return err
}

// echo sends one message to all and waits for every answer. Nothing is sent
// again in a raw round: one that lost a message on a connection that was made
// anew just then is thrown away, and said to be.
func (r *rawRounds) echo(ctx context.Context, kind byte) (time.Duration, error) {
	for try := 0; ; try++ {
		took, err := r.echoOnce(ctx, kind)
		if err == nil || try == 2 || ctx.Err() != nil {
			return took, err
		}
		r.b.say("thrown away: %v", err)
	}
}

func (r *rawRounds) echoOnce(ctx context.Context, kind byte) (time.Duration, error) {
	if err := r.arm(ctx, returnBytes); err != nil {
		return 0, err
	}
	m := r.message(kind, jobBytes)
	began := time.Now()
	if err := r.b.nc.Publish(sim.RawAll, m); err != nil {
		return 0, err
	}
	if err := r.b.nc.Flush(); err != nil {
		return 0, err
	}
	for r.heard.Load() < int64(r.b.n) {
		if time.Since(began) > rawLimit || ctx.Err() != nil {
			return 0, fmt.Errorf("a raw round had %d answers of %d", r.heard.Load(), r.b.n)
		}
		time.Sleep(200 * time.Microsecond)
	}
	return time.Since(began), nil
}

// store sends one message to all, on which each publishes into a stream, and
// waits for every acknowledgement.
func (r *rawRounds) store(ctx context.Context, kind byte, bytes int) (time.Duration, error) {
	if err := r.arm(ctx, bytes); err != nil {
		return 0, err
	}
	m := r.message(kind, jobBytes)
	began := time.Now()
	if err := r.b.nc.Publish(sim.RawAll, m); err != nil {
		return 0, err
	}
	if err := r.b.nc.Flush(); err != nil {
		return 0, err
	}
	reports, err := lab.Every(ctx, r.b.workers, func(w *lab.Worker) sim.Order {
		return sim.Order{Do: "acked", Count: w.Count, Limit: 2 * time.Minute}
	})
	if err != nil {
		return 0, err
	}
	if n := sum(reports, func(r sim.Report) float64 { return float64(r.Failed) }); n > 0 {
		return 0, fmt.Errorf("%v of the raw publishes failed", n)
	}
	return latest(reports).Sub(began), nil
}

// ping holds the product's ping of all against raw rounds over the same
// connections, in turns.
func (b *bench) ping(ctx context.Context) error {
	r, err := b.rounds(ctx)
	if err != nil {
		return err
	}
	var ours, accepted, raw, fast durations
	var used [4]durations // of servers and peels, in ours and in the raw round that verifies
	for n := range b.counted() {
		idleServers, idlePeels := b.cpu()
		v, err := r.echo(ctx, sim.RawEcho)
		if err != nil {
			return err
		}
		betweenServers, betweenPeels := b.cpu()
		o, _, err := b.op.Run(ctx, b.n, "test.ping")
		if err != nil {
			return err
		}
		endServers, endPeels := b.cpu()
		f, err := r.echo(ctx, sim.RawEchoFast)
		if err != nil {
			return err
		}
		if n >= warmups {
			ours, raw, fast = append(ours, o), append(raw, v), append(fast, f)
			accepted = append(accepted, b.op.Accepted)
			for i, d := range []time.Duration{endServers - betweenServers, endPeels - betweenPeels, betweenServers - idleServers, betweenPeels - idlePeels} {
				used[i] = append(used[i], d)
			}
		}
		if err := b.quiet(ctx); err != nil {
			return err
		}
	}
	b.say("ours                      %s\n  of it until accepted    %s\nraw, verifying            %s\nraw, not verifying        %s", ours, accepted, raw, fast)
	b.say("processor time         ours, servers %s\n                         ours, peels %s\n               raw verifying, servers %s\n                 raw verifying, peels %s", used[0], used[1], used[2], used[3])
	b.compare("ping", ours, raw, fast)
	return b.syncMode()
}

// cpu is the processor time that the servers and the peels have used so far.
func (b *bench) cpu() (servers, peels time.Duration) {
	for _, s := range b.servers {
		servers += sim.CPU(s.PID())
	}
	for _, w := range b.workers {
		peels += sim.CPU(w.PID())
	}
	return servers, peels
}

// returns holds recorded returns against raw acknowledged publishes: until the
// last peel has its acknowledgement, and the job is done.
func (b *bench) returns(ctx context.Context) error {
	r, err := b.rounds(ctx)
	if err != nil {
		return err
	}
	var ours, raw, fast durations
	for n := range b.counted() {
		v, err := r.store(ctx, sim.RawStore, returnBytes)
		if err != nil {
			return err
		}
		o, err := b.recorded(ctx)
		if err != nil {
			return err
		}
		f, err := r.store(ctx, sim.RawStoreOff, returnBytes)
		if err != nil {
			return err
		}
		if n >= warmups {
			ours, raw, fast = append(ours, o), append(raw, v), append(fast, f)
		}
		if err := b.quiet(ctx); err != nil {
			return err
		}
	}
	b.say("ours                      %s\nraw, verifying            %s\nraw, not verifying        %s", ours, raw, fast)
	b.compare("returns", ours, raw, fast)
	return b.syncMode()
}

// recorded runs a job and waits until it is done and every return is
// acknowledged, then checks that every one is stored.
func (b *bench) recorded(ctx context.Context) (time.Duration, error) {
	before, err := b.every(ctx, sim.Order{Do: "stats"})
	if err != nil {
		return 0, err
	}
	at := make(chan time.Time, 1)
	failed := make(chan error, 1)
	go func() {
		reports, err := lab.Every(ctx, b.workers, func(w *lab.Worker) sim.Order {
			for i, other := range b.workers {
				if other == w {
					return sim.Order{Do: "await", Name: "returns_total", Value: before[i].Counters["returns_total"] + float64(w.Count), Limit: 2 * time.Minute}
				}
			}
			return sim.Order{}
		})
		failed <- err
		at <- latest(reports)
	}()
	began := time.Now()
	took, j, err := b.op.Run(ctx, b.n, "test.ping")
	err = errors.Join(err, <-failed)
	if err != nil {
		return 0, err
	}
	if acked := (<-at).Sub(began); acked > took {
		took = acked
	}
	out, err := b.op.Show(ctx, j.JID)
	if err == nil && (len(out.Returns) != b.n || out.Job.Summary.Answered != b.n) {
		err = fmt.Errorf("%d returns of %d are stored", len(out.Returns), b.n)
	}
	return took, err
}

// warmups are rounds that are not counted.
const warmups = 2

func (b *bench) counted() int { return b.options.rounds + warmups }

// quiet waits until what a round left behind is done.
func (b *bench) quiet(ctx context.Context) error {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		reports, err := b.every(ctx, sim.Order{Do: "stats"})
		if err != nil {
			return err
		}
		if sum(reports, counter("returns_spooled")) == 0 {
			time.Sleep(300 * time.Millisecond)
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.New("returns are not acknowledged after a minute")
}

// compare adds the result of rounds that were measured in turns.
func (b *bench) compare(name string, ours, raw, fast durations) {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }
	o, r := pair(ours, raw)
	of, f := pair(ours, fast)
	b.add(name, ms(o), ms(r), "ms", "the median of %d pairs; raw without a verification: %.4gms to %.4gms, ratio %.3g; medians by themselves: ours %.4gms, raw %.4gms, without %.4gms",
		len(ours), ms(of), ms(f), ms(of)/ms(f), ms(ours.median()), ms(raw.median()), ms(fast.median()))
}

// syncMode prints how both sides were synced: one server stores both.
func (b *bench) syncMode() error {
	b.say("sync mode of both sides: %s", b.mode())
	return nil
}

func (b *bench) mode() string {
	if len(b.servers) == 1 {
		return "always (every write is synced before it is acknowledged)"
	}
	return "as the cluster's default"
}
