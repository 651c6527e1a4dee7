package sim

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/bench/fleet/socket"
	"github.com/rind-project/rind/bench/hosts"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/peel"
)

// Fleet is the peels of one process.
type Fleet struct {
	dialer *socket.Dialer
	shared *peel.Shared
	reg    *prometheus.Registry
	dials  atomic.Int64 // connections that came about
	turn   atomic.Int64 // which facts the hosts have
	raw    raw

	mu    sync.Mutex
	peels []*one
}

// one is one simulated peel.
type one struct {
	f  *Fleet
	n  int // number of the host
	id *identity

	mu   sync.Mutex
	p    *peel.Peel // nil: it is away
	sock *socket.Socket
}

// New makes an empty fleet.
func New() (*Fleet, error) {
	f := &Fleet{dialer: socket.New(), reg: prometheus.NewRegistry()}
	var err error
	f.shared, err = peel.NewShared(functions(), f.reg)
	return f, err
}

// moreMounts makes the facts of a host some 2 KB long.
const moreMounts = 9

// facts are those of the host, with a value that changes when all are told to.
func (o *one) facts(context.Context) (fleet.Facts, error) {
	f := hosts.Facts(o.n)
	f.Mem.Swap += o.f.turn.Load() << 20
	for i := range moreMounts {
		f.Mounts = append(f.Mounts, fleet.Mount{Device: fmt.Sprintf("/dev/mapper/vg0-data%02d", i), Path: fmt.Sprintf("/srv/data/volume-%02d", i), FSType: "xfs", Size: int64(i+1) << 36})
	}
	return f, nil
}

// dial opens the lean socket and remembers it.
func (o *one) dial(ctx context.Context, cfg bus.ConnConfig, on peel.SocketEvents) (peel.Socket, error) {
	s, err := o.f.dialer.Dial(ctx, cfg, on)
	if err != nil {
		return nil, err
	}
	sock := s.(*socket.Socket)
	if o.id.ordered() {
		if err := sock.Subscribe([]string{RawAll}, func(_ string, data []byte) { o.f.raw.onMessage(o.id.id, sock, data) }); err != nil {
			sock.Close()
			return nil, err
		}
	}
	o.f.dials.Add(1)
	o.mu.Lock()
	o.sock = sock
	o.mu.Unlock()
	return s, nil
}

// start starts the peel. A state folder keeps what it has seen and not
// returned yet, as a host's disk does.
func (o *one) start(ctx context.Context, state string) error {
	cfg := peel.DefaultConfig()
	if state != "" {
		cfg.StateDir = filepath.Join(state, string(o.id.id))
	}
	p := peel.New(cfg, peel.Deps{Credentials: o.id, Dial: o.dial, Facts: o.facts, Version: "sim", Shared: o.f.shared})
	if err := p.Start(ctx); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.p = p
	return nil
}

func (o *one) stop(ctx context.Context) error {
	o.mu.Lock()
	p := o.p
	o.p = nil
	o.mu.Unlock()
	if p == nil {
		return nil
	}
	return p.Stop(ctx)
}

// running reports whether the peel is not away.
func (o *one) running() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.p != nil
}

func (o *one) connected() bool {
	o.mu.Lock()
	p := o.p
	o.mu.Unlock()
	return p != nil && p.Connected()
}

func (f *Fleet) all() []*one {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.peels
}

func (f *Fleet) add(n int, id *identity) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.peels = append(f.peels, &one{f: f, n: n, id: id})
}

// connect starts the peels that do not run, of the first count ones or of all
// when it is 0, so many at a time, and returns when all are connected.
func (f *Fleet) connect(ctx context.Context, count, atOnce int, state string) error {
	begin := f.dials.Load()
	started := int64(0)
	all := f.all()
	if count > 0 {
		all = all[:min(count, len(all))]
	}
	for _, o := range all {
		if o.running() {
			continue
		}
		for started-(f.dials.Load()-begin) >= int64(max(1, atOnce)) {
			if err := pause(ctx, time.Millisecond); err != nil {
				return err
			}
		}
		if err := o.start(ctx, state); err != nil {
			return err
		}
		started++
	}
	return f.awaitConnected(ctx)
}

// awaitConnected returns when every peel that runs is connected. It looks at
// all of them each time, and does so a tenth of the time at most: others are
// still connecting.
func (f *Fleet) awaitConnected(ctx context.Context) error {
	for {
		began := time.Now()
		up, running := f.connected()
		if up == running {
			return nil
		}
		if err := pause(ctx, max(20*time.Millisecond, 10*time.Since(began))); err != nil {
			return fmt.Errorf("%d of %d peels are connected: %w", up, running, err)
		}
	}
}

func (f *Fleet) connected() (up, running int) {
	for _, o := range f.all() {
		if o.running() {
			running++
		}
		if o.connected() {
			up++
		}
	}
	return up, running
}

// away stops a share of the peels, one in so many.
func (f *Fleet) away(ctx context.Context, oneIn int) error {
	all := f.all()
	return each(len(all), 64, func(i int) error {
		if i%oneIn != 0 {
			return nil
		}
		return all[i].stop(ctx)
	})
}

// cut breaks all connections at once.
func (f *Fleet) cut() {
	for _, o := range f.all() {
		o.mu.Lock()
		s := o.sock
		o.mu.Unlock()
		if s != nil {
			s.Cut()
		}
	}
}

// tellFacts changes everybody's facts and has them told at once.
func (f *Fleet) tellFacts() {
	f.turn.Add(1)
	for _, o := range f.all() {
		o.mu.Lock()
		p := o.p
		o.mu.Unlock()
		if p != nil {
			p.LookAtFacts()
		}
	}
}

// counter adds up a counter of the peels, or of one of its labels, as in
// "settings_total:changed".
func (f *Fleet) counter(name string) float64 {
	name, label, one := strings.Cut(name, ":")
	families, err := f.reg.Gather()
	if err != nil {
		return -1
	}
	sum := 0.0
	for _, fam := range families {
		if fam.GetName() == "rind_peel_"+name {
			for _, m := range fam.GetMetric() {
				if one && m.GetLabel()[0].GetValue() != label {
					continue
				}
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// await returns when a counter has reached a value, with the time of it.
func (f *Fleet) await(ctx context.Context, name string, value float64) (time.Time, error) {
	for {
		have := f.counter(name)
		if have >= value {
			return time.Now(), nil
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return time.Time{}, fmt.Errorf("%s is %v of %v: %w", name, have, value, err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return errors.New("the time is over")
	}
}
