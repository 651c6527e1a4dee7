package tap

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestPercent(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{{0, mostPercent}, {headroom / 10, mostPercent}, {headroom, 100}, {2 * headroom, 50}, {100 * headroom, leastPercent}} {
		if got := percentFor(c.live); got != c.want {
			t.Errorf("%d bytes live: %d %%, want %d", c.live, got, c.want)
		}
	}
}

// TestCollectorFollowsTheHeap: once much lives, the percentage is a smaller
// one, and a larger one again when it is gone.
func TestCollectorFollowsTheHeap(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(100)
	tuneCollector()
	defer debug.SetGCPercent(before)
	until := func(ok func(percent int) bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			runtime.GC()
			now := debug.SetGCPercent(mostPercent)
			debug.SetGCPercent(now)
			if ok(now) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("the percentage is %d", now)
			}
		}
	}
	much := make([]byte, 4*headroom)
	until(func(percent int) bool { return percent <= 25 })
	runtime.KeepAlive(much)
	until(func(percent int) bool { return percent > 25 })
}
