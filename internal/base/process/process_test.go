package process_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/process"
)

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not within 5 s: %s", what)
}

func TestKilledChildIsStartedAgain(t *testing.T) {
	t.Parallel()
	c := process.New(process.Config{Name: "sleeper", Path: "/bin/sleep", Args: []string{"60"}, MinPause: 10 * time.Millisecond}, slog.New(slog.DiscardHandler))
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var first int
	eventually(t, "first process runs", func() bool { first = c.PID(); return first > 0 })
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var second int
	eventually(t, "second process runs", func() bool { second = c.PID(); return second > 0 && second != first })
	if c.Restarts() != 1 {
		t.Errorf("restarts = %d, want 1", c.Restarts())
	}
	for range 2 {
		if err := c.Stop(t.Context()); err != nil {
			t.Errorf("stop: %v", err)
		}
	}
	if err := syscall.Kill(second, 0); err == nil {
		t.Errorf("process %d outlived its stop", second)
	}
}

func TestMissingBinaryFailsTheStart(t *testing.T) {
	t.Parallel()
	c := process.New(process.Config{Name: "ghost", Path: filepath.Join(t.TempDir(), "none")}, slog.New(slog.DiscardHandler))
	if err := c.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Fatalf("start of a missing binary: %v", err)
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Errorf("stop after a failed start: %v", err)
	}
}

func TestDeafChildIsKilled(t *testing.T) {
	t.Parallel()
	ready := filepath.Join(t.TempDir(), "ready")
	c := process.New(process.Config{
		Name: "deaf", Path: "/bin/sh",
		Args:  []string{"-c", `trap "" TERM; : > "$0"; while :; do sleep 0.05; done`, ready},
		Grace: 50 * time.Millisecond,
	}, slog.New(slog.DiscardHandler))
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "trap is set", func() bool { _, err := os.Stat(ready); return err == nil })
	pid := c.PID()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := c.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err == nil {
		t.Errorf("process %d outlived its stop", pid)
	}
}

func TestOnceSaysHowItEnded(t *testing.T) {
	t.Parallel()
	c := process.New(process.Config{Name: "short", Path: "/bin/sh", Args: []string{"-c", "exit 3"}, Once: true}, slog.New(slog.DiscardHandler))
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-c.Died():
		if !strings.Contains(err.Error(), "exit status 3") {
			t.Errorf("died with %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("no death was reported")
	}
	_ = c.Stop(t.Context())
}
