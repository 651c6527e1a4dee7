package ps

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/localtest"
)

const stat = "4711 (evil) R 1 (x) S 1 4711 4711 0 -1 4194560 1171 0 0 0 150 50 0 0 20 0 1 0 8200 23232512 800 18446744073709551615 1 1 0 0 0 0 671173123 4096 1260 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"

func TestParseStat(t *testing.T) {
	t.Parallel()
	p, ok := parseStat(stat)
	if !ok || p.PID != 4711 || p.Parent != 1 || p.State != "S" || p.CPU != 2 || p.began != 8200 || p.Memory != 800*int64(os.Getpagesize()) || p.Command != "[evil) R 1 (x]" {
		t.Errorf("%+v, %v", p, ok)
	}
	for _, bad := range []string{"", "1 (x", ") 1 (", "x (y) S 1", "1 (y) S 1 2"} {
		if p, ok := parseStat(bad); ok {
			t.Errorf("%q gave %+v", bad, p)
		}
	}
}

func TestListOfAFixture(t *testing.T) {
	t.Parallel()
	h := localtest.New(t)
	h.File("proc/4711/stat", stat)
	h.File("proc/4711/cmdline", "nginx:\x00master\x1b[31m\x00")
	h.File("proc/12/stat", strings.Replace(strings.Replace(stat, "4711", "12", 1), "evil", "kthread", 1))
	h.File("proc/12/cmdline", "")
	h.File("proc/13/stat", "torn")
	h.File("proc/version", "Linux")
	res, err := localtest.Do(t, Runs(h.System), nil, "ps.list")
	all := res.Value.([]Process)
	if err != nil || len(all) != 2 || all[0].PID != 12 || all[0].Command != "[kthread) R 1 (x]" || all[1].Command != "nginx: master[31m" {
		t.Errorf("%+v, %v", all, err)
	}
	res, err = localtest.Do(t, Runs(h.System), nil, "ps.list", "match=nginx")
	if all := res.Value.([]Process); err != nil || len(all) != 1 || all[0].PID != 4711 {
		t.Errorf("%+v, %v", all, err)
	}
	res, err = localtest.Do(t, Runs(h.System), nil, "ps.list", "limit=1")
	if err != nil || res.Failed != "2 processes are found; these are the first 1" {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestMeasure(t *testing.T) {
	t.Parallel()
	before := []Process{{PID: 1, CPU: 10, began: 5}, {PID: 2, CPU: 100, began: 5}}
	after := []Process{{PID: 1, CPU: 11, began: 5}, {PID: 2, CPU: 0.5, began: 9}, {PID: 3, CPU: 0.2}}
	measure(before, after, 2*time.Second)
	if after[0].percent != 50 || after[1].percent != 25 || after[2].percent != 10 {
		t.Errorf("%v %v %v", after[0].percent, after[1].percent, after[2].percent)
	}
}

// TestKill ends a process of this test's own.
func TestKill(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "sleep", "61")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := strconv.Itoa(cmd.Process.Pid)
	runs := Runs(local.Host())
	// The child is a copy of this program until it has become the other.
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if p, _ := one(local.Host(), local.Names{}, cmd.Process.Pid); strings.HasPrefix(p.Command, "sleep") {
			break
		}
	}
	if res, err := localtest.Do(t, runs, nil, "ps.kill", pid, "match=nginx"); err == nil || !strings.Contains(err.Error(), `is "sleep 61"`) {
		t.Errorf("%+v, %v", res, err)
	}
	if res, err := localtest.Do(t, runs, nil, "ps.kill", pid, "test=true"); err != nil || res.Value.(Killed).Sent {
		t.Errorf("%+v, %v", res, err)
	}
	if res, err := localtest.Do(t, runs, nil, "ps.kill", pid, "match=sleep"); err != nil || !res.Value.(Killed).Sent {
		t.Errorf("%+v, %v", res, err)
	}
	_ = cmd.Wait()
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signal() != syscall.SIGTERM {
		t.Errorf("it ended by %v", ws)
	}
	for _, pid := range []string{"0", "1", strconv.Itoa(os.Getpid())} {
		if _, err := localtest.Do(t, runs, nil, "ps.kill", pid, "test=true"); err == nil || !strings.Contains(err.Error(), "no signal is sent") {
			t.Errorf("%s: %v", pid, err)
		}
	}
	if _, err := localtest.Do(t, runs, nil, "ps.kill", pid, "signal=SEGV"); err == nil {
		t.Error("a signal that is not in the list was taken")
	}
}

func TestTopOfThisHost(t *testing.T) {
	t.Parallel()
	res, err := localtest.Do(t, Runs(local.Host()), nil, "ps.top", "by=memory", "interval=100ms", "count=3")
	all := res.Value.([]Top)
	if err != nil || len(all) != 3 || all[0].Memory < all[1].Memory || all[1].Memory < all[2].Memory || all[0].Memory == 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add(stat)
	f.Fuzz(func(t *testing.T, text string) {
		if p, ok := parseStat(text); ok && strings.ContainsAny(p.Command+p.State, "\n\x1b\x00") {
			t.Errorf("%+v", p)
		}
	})
}
