package server

import (
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
)

// goroutines are the stacks of all goroutines but those of the tests.
func goroutines() []string {
	buf := make([]byte, 4<<20)
	var all []string
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if !strings.Contains(stack, "testing.tRunner") {
			all = append(all, stack)
		}
	}
	return all
}

// TestStopLeavesNothingRunning is not parallel, so that it is alone: the
// parallel tests wait for it.
func TestStopLeavesNothingRunning(t *testing.T) {
	cycle := func() {
		r := start(t, testConfig(dataDir(t)))
		_ = r.Died()
		r.enroll(t, "web-01")
		token := r.token(t, access.Admin)
		r.call(t, token, http.MethodPost, "/jobs", map[string]any{"target": "web-01", "function": "test.ping", "timeout": "1m"}, nil)
		r.call(t, token, http.MethodGet, "/peels", nil, nil)
		r.call(t, token, http.MethodGet, "/events", nil, nil) // a stream that its client leaves
		began := time.Now()
		stop(t, r.Server)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the stop took %s", took)
		}
		r.client.CloseIdleConnections()
	}
	cycle() // what is made once in a process is not a leak
	before := len(goroutines())
	cycle()
	cycle()
	var left []string
	for began := time.Now(); time.Since(began) < 5*time.Second; time.Sleep(50 * time.Millisecond) {
		if left = goroutines(); len(left) <= before {
			return
		}
	}
	t.Errorf("%d goroutines after one start and stop, %d after three:\n%s", before, len(left), strings.Join(left, "\n\n"))
}
