package status

import (
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/localtest"
)

func TestFixture(t *testing.T) {
	t.Parallel()
	h := localtest.New(t)
	h.File("proc/loadavg", "0.52 1.58 2.59 3/1042 12345\n")
	h.File("proc/stat", "cpu  1 2 3\ncpu0 1 2\ncpu1 1 2\nintr 5\n")
	h.File("proc/meminfo", "MemTotal:  1000 kB\nMemFree: 100 kB\nMemAvailable:  600 kB\nBuffers: 50 kB\nCached: 250 kB\nSwapTotal: 10 kB\nSwapFree: 4 kB\nHuge: x kB\n")
	h.File("proc/uptime", "273909.51 1000.00\n")
	for name, want := range map[string]any{
		"status.load": Load{One: 0.52, Five: 1.58, Fifteen: 2.59, Running: 3, Processes: 1042, CPUs: 2},
		"status.mem":  Mem{Total: 1024000, Used: 409600, Available: 614400, Free: 102400, Cached: 307200, SwapTotal: 10240, SwapUsed: 6144, Percent: 40},
	} {
		if res, err := localtest.Do(t, Runs(h.System), nil, name); err != nil || res.Value != want {
			t.Errorf("%s: %+v, %v", name, res.Value, err)
		}
	}
	if res, err := localtest.Do(t, Runs(h.System), nil, "status.uptime"); err != nil || res.Value.(Uptime).Seconds != 273909 || res.Value.(Uptime).Text != "3d 4h 5m" {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestTornFiles(t *testing.T) {
	t.Parallel()
	h := localtest.New(t)
	for _, name := range []string{"load", "mem", "uptime"} {
		if _, err := localtest.Do(t, Runs(h.System), nil, "status."+name); err == nil || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("%s without a file: %v", name, err)
		}
	}
	for _, text := range []string{"", "x", "1 2 3", "1 2 3 4/x 5", "NaN", "NaN 1 1 1/2 3", "-1", "1e300"} {
		h.File("proc/loadavg", text)
		h.File("proc/meminfo", text)
		h.File("proc/uptime", text)
		for _, name := range []string{"load", "mem", "uptime"} {
			if res, err := localtest.Do(t, Runs(h.System), nil, "status."+name); err == nil && !strings.HasPrefix(text, "1 2 3") {
				t.Errorf("%s of %q: %+v", name, text, res.Value)
			}
		}
	}
	if m := parseMem("MemTotal: 100 kB\nMemFree: 20 kB\nCached: 30 kB\n"); m.Available != 51200 {
		t.Errorf("an old kernel: %+v", m)
	}
}

func TestThisHost(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"load", "mem", "uptime"} {
		if _, err := localtest.Do(t, Runs(local.Host()), nil, "status."+name); err != nil {
			t.Error(err)
		}
	}
}
