package node

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/memory"
	"github.com/rind-project/rind/internal/network/node/cluster"
)

// meter turns counters that only rise into rates, between two readings.
type meter struct {
	door   *door
	memory *memory.Gauge
	db     *database.DB

	mu    sync.Mutex
	last  reading
	load  cluster.Load // of the time between the last two readings
	timed time.Time    // when reports were answered last
}

type reading struct {
	at                      time.Time
	cpu                     time.Duration // of the process
	busy, all               int64         // ticks of the machine
	answered, turned, short int64
	reports, took, received int64
	waits                   int64
	waited                  time.Duration
}

// timesKept is how long the times of the last reports stand when none comes:
// who asks why it is slow does so between two of them.
const timesKept = time.Minute

func newMeter(d *door, gauge *memory.Gauge, db *database.DB) *meter {
	m := &meter{door: d, memory: gauge, db: db}
	m.last = m.read()
	return m
}

func (m *meter) read() reading {
	d := m.door
	r := reading{at: time.Now(), answered: d.answered.Load(), turned: d.turned.Load(), short: d.short.Load(),
		reports: d.reports.Load(), took: d.took.Load(), received: d.received.Load()}
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err == nil {
		r.cpu = time.Duration(use.Utime.Nano() + use.Stime.Nano())
	}
	r.busy, r.all = machineTicks()
	pool := m.db.Pool()
	r.waits, r.waited = pool.WaitCount, pool.WaitDuration
	return r
}

// machineTicks reads how long the machine's cores were busy, and in all; zeros
// where there is no /proc (proc_stat(5)).
func machineTicks() (busy, all int64) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	for i, f := range bytes.Fields(line) {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil || i > 8 { // the word cpu; the time of guests is counted already
			continue
		}
		all += n
		if i != 4 && i != 5 { // idle, iowait
			busy += n
		}
	}
	return busy, all
}

// measure returns the load since the last reading. Readings that follow one
// another within a second give the same.
func (m *meter) measure() cluster.Load {
	m.mu.Lock()
	now := m.read()
	if now.at.Sub(m.last.at) >= time.Second {
		l := rates(m.last, now)
		if now.reports > m.last.reports {
			m.timed = now.at
		} else if now.at.Sub(m.timed) < timesKept {
			l.AnswerMS, l.ReceiveMS = m.load.AnswerMS, m.load.ReceiveMS
		}
		m.load, m.last = l, now
	}
	m.mu.Unlock()
	return m.current()
}

// current returns the load of the last reading, with what can be said of this
// moment.
func (m *meter) current() cluster.Load {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.load
	l.Memory, l.MemoryLimit = m.memory.Use()
	l.MemoryShort = l.MemoryShort || m.memory.Near()
	l.Requests = m.door.inside.Load()
	pool := m.db.Pool()
	l.PoolInUse, l.PoolMax = pool.InUse, pool.MaxOpenConnections
	return l
}

func rates(a, b reading) cluster.Load {
	seconds := b.at.Sub(a.at).Seconds()
	l := cluster.Load{
		CPU:     (b.cpu - a.cpu).Seconds() / seconds / float64(runtime.GOMAXPROCS(0)),
		Reports: float64(b.answered-a.answered) / seconds, Refused: float64(b.turned-a.turned) / seconds,
		MemoryShort: b.short > a.short,
	}
	if all := b.all - a.all; all > 0 {
		l.HostCPU = float64(b.busy-a.busy) / float64(all)
	}
	if n := b.reports - a.reports; n > 0 {
		l.AnswerMS = float64(b.took-a.took) / float64(n) / 1e6
		l.ReceiveMS = float64(b.received-a.received) / float64(n) / 1e6
	}
	if n := b.waits - a.waits; n > 0 {
		l.PoolWaitMS = float64((b.waited - a.waited).Microseconds()) / float64(n) / 1e3
	}
	return l
}

// load is what the node bears, for its heartbeat.
func (n *Node) load() cluster.Load { return n.further(n.meter.measure()) }

// further adds to a load what others measure.
func (n *Node) further(l cluster.Load) cluster.Load {
	l.LagMS = float64(n.lag.Load()) / 1e3
	l.DatabaseMS = float64(n.member.BeatTook().Microseconds()) / 1e3
	return l
}

// lagOver is the time of which the lag is the mean.
const lagOver = 30 * time.Second

// watchLag measures how long after their end reports are committed, whichever
// node took them, for the next heartbeats.
func (n *Node) watchLag(ctx context.Context) {
	tick := time.NewTicker(max(n.cfg.Heartbeat, time.Second))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		ask, cancel := context.WithTimeout(ctx, n.cfg.Heartbeat+time.Second)
		var us int64
		if err := n.deps.DB.QueryRow(ask, `SELECT CAST(COALESCE(AVG(received_us - end_us), 0) AS BIGINT) FROM reports WHERE received_us > $1`,
			database.Micros(n.deps.Now().Add(-lagOver))).Scan(&us); err == nil {
			n.lag.Store(max(us, 0))
		}
		cancel()
	}
}
