package memory

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/config"
)

func TestLimit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]uint64{"75%": 750, "1%": 10, "2GiB": 2 << 30, "64MiB": 64 << 20} {
		var l Limit
		if err := l.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if got := l.of(1000); got != want {
			t.Errorf("%s is %d, want %d", text, got, want)
		}
		if back, _ := l.MarshalText(); string(back) != text {
			t.Errorf("%s is written as %s", text, back)
		}
	}
	if got := (Limit{}).of(1000); got != 750 {
		t.Errorf("the default is %d", got)
	}
	for _, bad := range []string{"0%", "101%", "-1%", "x%", "1MiB", "much", ""} {
		if err := new(Limit).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestAvailable(t *testing.T) {
	t.Parallel()
	const meminfo = "MemTotal:        8388608 kB\nMemFree: 1 kB\n"
	for name, tc := range map[string]struct {
		files map[string]string
		want  uint64
	}{
		"no group":      {map[string]string{"proc/meminfo": meminfo}, 8 << 30},
		"no limit":      {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n"}, 8 << 30},
		"own limit":     {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "1073741824\n"}, 1 << 30},
		"parent's":      {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "1073741824\n", "sys/fs/cgroup/a/memory.max": "536870912\n"}, 512 << 20},
		"in a box":      {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/docker/x\n", "sys/fs/cgroup/memory.max": "268435456\n"}, 256 << 20},
		"version 1":     {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "4:cpu:/\n5:memory:/a\n", "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "134217728\n"}, 128 << 20},
		"more than all": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "5:memory:/a\n", "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712\n"}, 8 << 30},
	} {
		root := t.TempDir()
		for path, text := range tc.files {
			path = filepath.Join(root, path)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := Available(root); got != tc.want {
			t.Errorf("%s: %s, want %s", name, config.Size(got), config.Size(tc.want))
		}
	}
}

func TestNear(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		held, live uint64
		want       bool
	}{{10, 10, false}, {96 << 20, 70 << 20, false}, {98 << 20, 10 << 20, true}, {90 << 20, 81 << 20, true}} {
		g := NewGauge(100 << 20)
		g.read = func() (uint64, uint64) { return tc.held, tc.live }
		if got := g.Near(); got != tc.want {
			t.Errorf("%d held, %d live: near is %v", tc.held, tc.live, got)
		}
	}
	if NewGauge(0).Near() || (*Gauge)(nil).Near() {
		t.Error("without a limit nothing is near it")
	}
	held, limit := NewGauge(1 << 40).Use()
	if held == 0 || limit != 1<<40 {
		t.Errorf("this process holds %d of %d", held, limit)
	}
}

// TestNearEnds lets go of what brought the process near its limit, and does
// nothing more: no allocation brings about a collection. It is not near soon.
func TestNearEnds(t *testing.T) { // not parallel: others would collect
	const much = 64 << 20
	held := make([]byte, much)
	for i := 0; i < much; i += 4096 {
		held[i] = 1
	}
	runtime.GC()
	_, live := readRuntime()
	g := NewGauge(live * 100 / 90)
	if !g.Near() {
		t.Fatal("the process is not near its limit")
	}
	runtime.KeepAlive(held)
	for end := time.Now().Add(30 * time.Second); g.Near(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is near still, though what it held is garbage")
		}
	}
}
