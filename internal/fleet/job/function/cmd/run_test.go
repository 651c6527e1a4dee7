package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

func do(t *testing.T, name string, limit time.Duration, args ...string) (schema.Result, error) {
	t.Helper()
	for _, f := range schema.All() {
		if f.Name == name {
			f.Run = Runs(local.Host())[name]
			return f.Do(t.Context(), nil, args, limit)
		}
	}
	t.Fatalf("there is no %s", name)
	return schema.Result{}, nil
}

func TestCommandEndsWithItsGroup(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pid")
	began := time.Now()
	res, err := do(t, "cmd.run", 500*time.Millisecond, "sleep 100 & echo $! > "+file+"; wait")
	if err != nil {
		t.Fatal(err)
	}
	out := res.Value.(Command)
	if !out.TimedOut || res.ExitCode != 137 || res.Failed == "" || time.Since(began) > 10*time.Second {
		t.Errorf("%+v, %q after %s", out, res.Failed, time.Since(began))
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			break
		}
		if time.Now().After(end) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatal("the child of the command lives on")
		}
	}
}

func TestCommandThatLeavesADaemonDoesNotHang(t *testing.T) {
	t.Parallel()
	began := time.Now()
	res, err := do(t, "cmd.run", time.Minute, "setsid sleep 8 & echo done")
	if err != nil {
		t.Fatal(err)
	}
	if out := res.Value.(Command); out.Stdout != "done\n" || out.ExitCode != 0 || time.Since(began) > 7*time.Second {
		t.Errorf("%+v after %s", out, time.Since(began))
	}
}

func TestCommandOutputIsBounded(t *testing.T) {
	t.Parallel()
	res, err := do(t, "cmd.run", time.Minute, "printf begin; head -c 3000000 /dev/zero | tr '\\0' x; printf end")
	if err != nil {
		t.Fatal(err)
	}
	out := res.Value.(Command)
	if want := int64(3000000 + 8 - MaxOutput); out.StdoutCut != want {
		t.Errorf("cut %d bytes, want %d", out.StdoutCut, want)
	}
	if !strings.HasPrefix(out.Stdout, "begin") || !strings.HasSuffix(out.Stdout, "end") || len(out.Stdout) > MaxOutput+32 {
		t.Errorf("kept %d bytes", len(out.Stdout))
	}
}

func TestCommandFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	res, err := do(t, "cmd.run", time.Minute, "pwd", "cwd="+dir)
	if err != nil || res.Value.(Command).Stdout != dir+"\n" {
		t.Errorf("%+v, %v", res, err)
	}
	if _, err := do(t, "cmd.run", time.Minute, "pwd", "cwd=/does/not/exist"); err == nil || !strings.Contains(err.Error(), `cwd="/does/not/exist" is no folder`) {
		t.Error("a folder that does not exist was taken")
	}
}
