package sim

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/bench/hosts"
)

// Order is what a worker is told to do, a line of JSON each.
type Order struct {
	N      int           `json:"n"` // names the answer
	Do     string        `json:"do"`
	Limit  time.Duration `json:"limit,omitempty"`
	Server string        `json:"server,omitempty"` // enroll, load: https://…
	Pin    string        `json:"pin,omitempty"`
	Socket string        `json:"socket,omitempty"` // enroll: of the API
	First  int           `json:"first,omitempty"`  // enroll, load: number of the first host
	Count  int           `json:"count,omitempty"`
	AtOnce int           `json:"at_once,omitempty"`
	Buses  []string      `json:"buses,omitempty"` // enroll: where the bus is, as a name service would say
	File   string        `json:"file,omitempty"`  // of identities
	State  string        `json:"state,omitempty"` // connect: folder of the peels' state
	Seed   string        `json:"seed,omitempty"`  // permit: of the account
	Bytes  int           `json:"bytes,omitempty"` // arm
	Name   string        `json:"name,omitempty"`  // await: of a counter
	Value  float64       `json:"value,omitempty"`
}

// Report answers an order, with how the worker stands.
type Report struct {
	N         int                `json:"n"`
	Error     string             `json:"error,omitempty"`
	At        time.Time          `json:"at"` // when it was reached
	Took      map[string]float64 `json:"took,omitempty"`
	Connected int                `json:"connected"`
	Running   int                `json:"running"`
	In        int64              `json:"in"`
	Out       int64              `json:"out"`
	RSS       int64              `json:"rss"`
	Acked     int64              `json:"acked"`
	Failed    int64              `json:"failed"`
	Counters  map[string]float64 `json:"counters"`
}

// Work takes orders until the input ends.
func Work(in io.Reader, out io.Writer) error {
	f, err := New()
	if err != nil {
		return err
	}
	var mu sync.Mutex
	enc := json.NewEncoder(out)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for sc := bufio.NewScanner(in); sc.Scan(); {
		var o Order
		if err := json.Unmarshal(sc.Bytes(), &o); err != nil {
			return fmt.Errorf("an order cannot be read: %w", err)
		}
		go func() {
			r := f.obey(ctx, o)
			mu.Lock()
			defer mu.Unlock()
			_ = enc.Encode(r) // whoever ordered is gone, and the input ends
		}()
	}
	return nil
}

func (f *Fleet) obey(ctx context.Context, o Order) Report {
	if o.Limit == 0 {
		o.Limit = 10 * time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, o.Limit)
	defer cancel()
	r := Report{N: o.N, Took: map[string]float64{}}
	err := f.do(ctx, o, &r)
	if r.At.IsZero() {
		r.At = time.Now()
	}
	if err != nil {
		r.Error = err.Error()
	}
	r.Connected, r.Running = f.connected()
	r.In, r.Out, r.RSS = f.dialer.In.Load(), f.dialer.Out.Load(), RSS(os.Getpid())
	r.Acked, r.Failed = f.raw.acked.Load(), f.raw.failed.Load()
	r.Counters = map[string]float64{}
	for _, name := range []string{"returns_total", "publish_retries_total", "returns_lost_total", "facts_published_total", "renewals_total", "jobs_total", "jobs_refused_total", "returns_spooled", "settings_total:changed"} {
		r.Counters[name] = f.counter(name)
	}
	return r
}

func (f *Fleet) do(ctx context.Context, o Order, r *Report) (err error) {
	switch o.Do {
	case "stats":
	case "collect": // so that memory is what is needed
		runtime.GC()
		runtime.GC()
		debug.FreeOSMemory()
	case "enroll":
		return f.enroll(ctx, o, r)
	case "load":
		return f.load(o)
	case "connect":
		return f.connect(ctx, o.Count, o.AtOnce, o.State)
	case "connected":
		return f.awaitConnected(ctx)
	case "away":
		return f.away(ctx, o.Count)
	case "cut":
		f.cut()
	case "facts":
		f.tellFacts()
	case "permit":
		return f.permit(ctx, o.Seed, o.AtOnce)
	case "arm":
		f.raw.arm(o.Bytes)
	case "acked":
		for f.raw.acked.Load()+f.raw.failed.Load() < int64(o.Count) && err == nil {
			err = pause(ctx, time.Millisecond)
		}
		f.raw.mu.Lock()
		defer f.raw.mu.Unlock()
		r.At = f.raw.last
	case "await":
		r.At, err = f.await(ctx, o.Name, o.Value)
	default:
		return fmt.Errorf("%q is no order", o.Do)
	}
	return err
}

// enroll takes a token for each peel, and enrolls all.
func (f *Fleet) enroll(ctx context.Context, o Order, r *Report) error {
	began := time.Now()
	secrets, err := tokens(ctx, o.Socket, o.Count, o.AtOnce)
	if err != nil {
		return fmt.Errorf("making tokens: %w", err)
	}
	r.Took["tokens"] = time.Since(began).Seconds()
	began = time.Now()
	c, err := newClient(o.Server, o.Pin, o.AtOnce)
	if err != nil {
		return err
	}
	ids := make([]*identity, o.Count)
	var once sync.Once
	var common *shared
	err = each(o.Count, o.AtOnce, func(i int) error {
		id, grant, err := c.join(ctx, hosts.Facts(o.First+i).ID, secrets[i])
		if err != nil {
			return err
		}
		once.Do(func() { common, err = c.open(grant) })
		ids[i] = id
		return err
	})
	if err != nil {
		return fmt.Errorf("enrolling: %w", err)
	}
	r.Took["enroll"] = time.Since(began).Seconds()
	if len(o.Buses) > 0 {
		common.URLs = o.Buses
	}
	for i, id := range ids {
		id.all = common
		f.add(o.First+i, id)
	}
	c.http.CloseIdleConnections()
	if o.File == "" {
		return nil
	}
	return save(o.File, ids)
}

func (f *Fleet) load(o Order) error {
	c, err := newClient(o.Server, o.Pin, 4)
	if err != nil {
		return err
	}
	ids, err := load(o.File, c)
	if len(ids) > 0 && len(o.Buses) > 0 {
		ids[0].all.URLs = o.Buses // all have it in common
	}
	for i, id := range ids {
		f.add(o.First+i, id)
	}
	return err
}

// permit has every peel move to a permission that allows the raw rounds.
func (f *Fleet) permit(ctx context.Context, seed string, atOnce int) error {
	account, err := nkeys.FromSeed([]byte(seed))
	if err != nil {
		return err
	}
	sign := issuer(account)
	begin, started := f.dials.Load(), int64(0)
	for _, o := range f.all() {
		for started-(f.dials.Load()-begin) >= int64(max(1, atOnce)) {
			if err := pause(ctx, time.Millisecond); err != nil {
				return err
			}
		}
		started++
		o.id.order(sign)
		o.mu.Lock()
		p := o.p
		o.mu.Unlock()
		if p != nil {
			p.RenewNow()
		}
	}
	for f.dials.Load()-begin < started && err == nil {
		err = pause(ctx, 5*time.Millisecond)
	}
	return err
}

// CPU is the processor time that a process has used; 0 when it is gone.
func CPU(pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	var user, system int64
	if _, err := fmt.Sscan(f[11]+" "+f[12], &user, &system); err != nil {
		return 0
	}
	return time.Duration(user+system) * 10 * time.Millisecond // the kernel counts in hundredths of a second
}

// RSS is the resident memory of a process in bytes; 0 when it is gone.
func RSS(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}
