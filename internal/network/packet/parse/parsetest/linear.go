package parsetest

import (
	"runtime"
	"testing"
	"time"
)

// Linear runs work on n, 2n and 4n units and fails when its CPU time grows
// faster than they do: 4n may take twelve times as long as n, where quadratic
// work takes sixteen. Each is measured several times, the best counts.
func Linear(t *testing.T, n int, work func(n int)) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	rounds := 1
	for cpu(work, n, rounds) < 4*time.Millisecond && rounds < 1<<16 {
		rounds *= 2
	}
	var times [3]time.Duration
	for i := range times {
		times[i] = cpu(work, n<<i, rounds)
	}
	for range 6 {
		for i := range times {
			times[i] = min(times[i], cpu(work, n<<i, rounds))
		}
		if times[2] <= 6*times[0] {
			break
		}
	}
	t.Logf("n, 2n, 4n take %v, %v, %v of CPU", times[0], times[1], times[2])
	if times[2] > 12*times[0] {
		t.Errorf("the work grows faster than its input: n, 2n, 4n take %v, %v, %v", times[0], times[1], times[2])
	}
}

func cpu(work func(int), n, rounds int) time.Duration {
	before := threadTime()
	for range rounds {
		work(n)
	}
	return threadTime() - before
}
