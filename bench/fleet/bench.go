package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/bench/fleet/lab"
	"github.com/rind-project/rind/bench/fleet/sim"
)

// Bounds of one process on a machine with 20,000 open files each.
const (
	peelsPerServer = 17_000 // of at most 18,000, since peels choose by chance
	mostPerServer  = 18_000
	peelsPerWorker = 12_500
	atOnce         = 256 // connections that are made at the same time, by all workers
)

// crowded reports whether there are far more processes than processors.
func (b *bench) crowded() bool { return b.n >= 2*runtime.NumCPU()*peelsPerWorker }

// sharing is how each of several processes shares the memory and the
// processors. Garbage is collected earlier than Go would by itself; and in a
// crowd each runs on one processor, the others are busy anyway, and waits for
// its turn.
func (b *bench) sharing() lab.Sharing {
	s := lab.Sharing{Env: []string{"GOGC=75"}, Batch: b.crowded()}
	if b.crowded() {
		s.Env = append(s.Env, "GOMAXPROCS=1")
	}
	return s
}

// perWorker is how many of them one worker makes.
func (b *bench) perWorker() int { return min(128, max(16, atOnce/max(1, len(b.workers)))) }

type options struct {
	n, rounds int
	servers   int // how many; 0: as many as n needs
	idle      time.Duration
	limit     time.Duration // of a job
	bin, dir  string
	only      []string
	worker    []string // arguments that make this program a worker
	env       []string
}

// bench is one run.
type bench struct {
	options
	report
	servers []*lab.Server // the first has the master
	workers []*lab.Worker
	op      *lab.Operator
	nc      *nats.Conn
	raw     *rawRounds
}

// figures are measured in this order, since each leaves the fleet as the next
// one needs it.
var figures = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"enroll", (*bench).enroll},
	{"connected", (*bench).connect},
	{"idle", (*bench).idleFleet},
	{"ping-all", (*bench).pingAll},
	{"ping", (*bench).ping},
	{"returns", (*bench).returns},
	{"wire", (*bench).wire},
	{"storm", (*bench).storms},
	{"reconnect", (*bench).reconnect},
	{"churn", (*bench).churn},
}

func names() []string {
	var out []string
	for _, f := range figures {
		out = append(out, f.name)
	}
	return out
}

// run measures, and prints the results at the end also when one figure fails.
func run(ctx context.Context, o options, out io.Writer) (err error) {
	b := &bench{options: o, report: report{out: out}}
	if b.dir == "" {
		if b.dir, err = os.MkdirTemp("", "rind-fleet-"); err != nil {
			return err
		}
		defer os.RemoveAll(b.dir)
	}
	defer func() { err = errors.Join(err, b.end()) }()
	b.say("%s, %d processors, %d peels", runtime.Version(), runtime.NumCPU(), b.n)
	if err := b.begin(ctx); err != nil {
		return err
	}
	for _, f := range figures {
		if len(b.only) > 0 && !slices.Contains(b.only, f.name) && f.name != "enroll" && f.name != "connected" {
			continue
		}
		b.say("\n== %s", f.name)
		if failed := f.run(b, ctx); failed != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", f.name, failed))
			b.say("%s: %v", f.name, failed)
			b.explain()
			if ctx.Err() != nil || len(b.workers) == 0 {
				break
			}
		}
	}
	b.print()
	return err
}

// begin starts the servers and the workers.
func (b *bench) begin(ctx context.Context) error {
	if err := b.startServers(ctx); err != nil {
		return err
	}
	var err error
	if b.op, err = lab.NewOperator(ctx, b.servers[0]); err != nil {
		return err
	}
	b.op.Limit = b.limit
	if b.nc, err = lab.Connect(ctx, b.servers[0]); err != nil {
		return err
	}
	for first := 0; first < b.n; first += peelsPerWorker {
		sharing := lab.Sharing{Env: b.env}
		if len(b.servers) > 1 {
			sharing = b.sharing()
			sharing.Env = append(sharing.Env, b.env...)
		}
		w, err := lab.StartWorker(b.worker, sharing)
		if err != nil {
			return err
		}
		w.First, w.Count = first, min(peelsPerWorker, b.n-first)
		w.File = filepath.Join(b.dir, fmt.Sprintf("peels-%d.json", first))
		b.workers = append(b.workers, w)
	}
	return nil
}

// startServers starts one server, or as many as the open files of a process
// make necessary: the first has the master and the streams, the others carry
// connections.
func (b *bench) startServers(ctx context.Context) error {
	ready, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	count := b.options.servers
	if count == 0 {
		count = 1
		if b.n > mostPerServer {
			count = 1 + (b.n+peelsPerServer-1)/peelsPerServer
		}
	}
	if count == 1 {
		return b.startServer(ready, "server", []string{"bus", "master"}, "")
	}
	routes, err := lab.FreePorts(count)
	if err != nil {
		return err
	}
	for i, route := range routes {
		more := fmt.Sprintf("  cluster:\n    listen: %s\n", route)
		if i == 0 {
			err = b.startServer(ready, "server-0", []string{"bus", "master"}, more)
		} else {
			more += fmt.Sprintf("    routes: [%s]\n  jetstream:\n    enabled: false\n", routes[0])
			err = b.startServer(ready, fmt.Sprintf("server-%d", i), []string{"bus"}, more)
		}
		if err != nil {
			return err
		}
	}
	b.say("%d servers: one with the master and the streams, the others carry connections; at most %d peels each by chance", count, mostPerServer)
	return nil
}

func (b *bench) startServer(ctx context.Context, name string, roles []string, more string) error {
	s, err := lab.NewServer(b.bin, b.dir, name, roles, more)
	if err != nil {
		return err
	}
	if len(b.servers) > 0 {
		if err := s.Join(b.servers[0]); err != nil {
			return err
		}
		s.Sharing = b.sharing()
	}
	s.Batch = b.crowded()
	b.servers = append(b.servers, s)
	if err := s.Start(); err != nil {
		return err
	}
	return s.Ready(ctx)
}

// buses are where the peels find a bus: the servers that carry connections, or
// the one that there is.
func (b *bench) buses() []string {
	carriers := b.servers
	if len(carriers) > 1 {
		carriers = carriers[1:]
	}
	var out []string
	for _, s := range carriers {
		out = append(out, "tls://"+s.Bus)
	}
	return out
}

// end stops what was started, by its processes.
func (b *bench) end() error {
	var all []error
	if b.nc != nil {
		b.nc.Close()
	}
	for _, w := range b.workers {
		all = append(all, w.Kill())
	}
	for _, s := range slices.Backward(b.servers) {
		all = append(all, s.Stop())
	}
	return errors.Join(all...)
}

// every gives all workers the same order.
func (b *bench) every(ctx context.Context, o sim.Order) ([]sim.Report, error) {
	return lab.Every(ctx, b.workers, func(*lab.Worker) sim.Order { return o })
}

// sum adds up what the workers report.
func sum(all []sim.Report, of func(sim.Report) float64) float64 {
	total := 0.0
	for _, r := range all {
		total += of(r)
	}
	return total
}

func counter(name string) func(sim.Report) float64 {
	return func(r sim.Report) float64 { return r.Counters[name] }
}

func wireBytes(r sim.Report) float64 { return float64(r.In + r.Out) }

// latest is the latest moment that the workers report.
func latest(all []sim.Report) time.Time {
	var t time.Time
	for _, r := range all {
		if r.At.After(t) {
			t = r.At
		}
	}
	return t
}

// explain prints how the peels stand after a figure that failed.
func (b *bench) explain() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	reports, err := b.every(ctx, sim.Order{Do: "stats"})
	if err != nil {
		b.say("  %v", err)
		return
	}
	for i, r := range reports {
		b.say("  worker %d: %d of %d connected, %d raw publishes acknowledged, %d failed, %v", i, r.Connected, r.Running, r.Acked, r.Failed, r.Counters)
	}
}
