// Package memory bounds what a process holds: it sets the runtime's soft limit
// from the memory that the machine or the control group has, and tells when
// the process comes near it, so that it can refuse work rather than be killed.
package memory

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/errs"
)

// Limit is how much a process may hold: a share of what there is, "75%", or a
// size, "2GiB". The zero Limit is DefaultShare.
type Limit struct {
	Percent int
	Size    config.Size
}

// DefaultShare is the share of the memory there is that a process takes when it
// was told nothing. The rest is for the page cache and other processes.
const DefaultShare = 75

// UnmarshalText reads "75%" or a size.
func (l *Limit) UnmarshalText(text []byte) error {
	if number, ok := strings.CutSuffix(strings.TrimSpace(string(text)), "%"); ok {
		n, err := strconv.Atoi(strings.TrimSpace(number))
		if err != nil || n < 1 || n > 100 {
			return errs.New(errs.Invalid, `want a share from 1%% to 100%%, or a size such as "2GiB"`)
		}
		*l = Limit{Percent: n}
		return nil
	}
	size, err := config.ParseSize(string(text))
	if err != nil || size < 64*config.MiB {
		return errs.New(errs.Invalid, `want a share such as "75%%", or a size of at least 64MiB such as "2GiB"`)
	}
	*l = Limit{Size: size}
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (l Limit) MarshalText() ([]byte, error) {
	if l.Size > 0 {
		return l.Size.MarshalText()
	}
	return fmt.Appendf(nil, "%d%%", l.percent()), nil
}

func (l Limit) percent() int {
	if l.Percent <= 0 {
		return DefaultShare
	}
	return l.Percent
}

// Bytes is the limit on this machine.
func (l Limit) Bytes() uint64 { return l.of(Available("/")) }

func (l Limit) of(available uint64) uint64 {
	if l.Size > 0 {
		return uint64(l.Size)
	}
	return available / 100 * uint64(l.percent())
}

// Available is the memory that this process could use at most: the smallest
// limit of its control group and of those above it (cgroups version 2 and 1,
// https://docs.kernel.org/admin-guide/cgroup-v2.html), else the machine's.
// root is "/", and another folder in tests.
func Available(root string) uint64 {
	least := total(filepath.Join(root, "proc/meminfo"))
	groups, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return least
	}
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		base, file := "sys/fs/cgroup", "memory.max"
		switch {
		case parts[0] == "0" && parts[1] == "":
		case strings.Contains(","+parts[1]+",", ",memory,"):
			base, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		// In a container the path may be the host's: the mount point itself is read too.
		for dir := filepath.Clean("/" + parts[2]); ; dir = filepath.Dir(dir) {
			if n, ok := number(filepath.Join(root, base, dir, file)); ok {
				least = min(least, n)
			}
			if dir == "/" {
				break
			}
		}
	}
	return least
}

// number reads a file that holds one number; "max" is none.
func number(path string) (uint64, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil && n > 0
}

// total is the machine's memory; MaxInt64 when it cannot be read.
func total(path string) uint64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return math.MaxInt64
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			if kb, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64); err == nil {
				return kb << 10
			}
		}
	}
	return math.MaxInt64
}

// Set makes the limit the runtime's, unless GOMEMLIMIT in the environment has
// the last word, and returns a Gauge of it.
func (l Limit) Set() *Gauge {
	limit := l.Bytes()
	if os.Getenv("GOMEMLIMIT") != "" {
		limit = uint64(debug.SetMemoryLimit(-1))
	} else if limit < math.MaxInt64 {
		debug.SetMemoryLimit(int64(limit))
	}
	return NewGauge(limit)
}

// Gauge tells how much of a limit the process holds.
type Gauge struct {
	limit uint64
	read  func() (held, live uint64)

	mu   sync.Mutex
	at   time.Time
	held uint64
	live uint64
	busy bool      // garbage is being collected
	next time.Time // when it may be collected again
}

// NewGauge makes a gauge of a limit; 0 is none.
func NewGauge(limit uint64) *Gauge { return &Gauge{limit: limit, read: readRuntime} }

// fresh is how long a reading serves, so that many may ask.
const fresh = 100 * time.Millisecond

// The process is near its limit when what it holds without garbage reaches the
// first share, or with garbage the second, in percent. Under the limit the
// runtime collects ever more often instead of growing, so that garbage alone
// never reaches it.
const (
	nearLive = 80
	nearHeld = 97
)

// collectEvery is the least time between two collections that a process near
// its limit asks for.
const collectEvery = 500 * time.Millisecond

// Near reports whether the process is near its limit. When it is, garbage is
// collected in the background, so that it is not for longer than it has to be.
func (g *Gauge) Near() bool {
	if g == nil || g.limit == 0 {
		return false
	}
	held, live := g.sample()
	if live/nearLive < g.limit/100 && held/nearHeld < g.limit/100 {
		return false
	}
	g.collect()
	return true
}

// collect collects garbage in the background, for a tenth of the time at most.
// What is live is known by the last collection, and a process that refuses all
// work allocates too little for the next one to come by itself: it would go on
// refusing for minutes after the work is done.
func (g *Gauge) collect() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.busy || time.Now().Before(g.next) {
		return
	}
	g.busy = true
	go func() {
		began := time.Now()
		runtime.GC()
		g.mu.Lock()
		defer g.mu.Unlock()
		g.busy, g.next = false, time.Now().Add(max(collectEvery, 10*time.Since(began)))
	}()
}

// Use returns what the process holds, and its limit, in bytes.
func (g *Gauge) Use() (held, limit uint64) {
	if g == nil {
		held, _ = readRuntime()
		return held, 0
	}
	held, _ = g.sample()
	return held, g.limit
}

func (g *Gauge) sample() (held, live uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); now.Sub(g.at) >= fresh {
		g.held, g.live = g.read()
		g.at = now
	}
	return g.held, g.live
}

// readRuntime returns what counts against the runtime's limit, and that part of
// it which is not garbage, by the last collection.
func readRuntime() (held, live uint64) {
	s := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
		{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"},
	}
	metrics.Read(s)
	value := func(i int) uint64 {
		if s[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return s[i].Value.Uint64()
	}
	return value(0) - value(1), value(2) + value(3)
}
