package master_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/master"
	"github.com/rind-project/rind/internal/fleet/natsd"
)

// onFullDisk is set in the process that has a file system of its own.
const onFullDisk = "RIND_TEST_FULL_DISK"

// TestAFullDisk runs the test below in a mount namespace of its own, on a file
// system of 48 MiB.
func TestAFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a file system needs root")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "-test.run=^TestOnAFullDisk$", "-test.v", "-test.timeout=7m")
	cmd.Env = append(os.Environ(), onFullDisk+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil && strings.Contains(err.Error(), "operation not permitted") {
		t.Skipf("this machine lets nobody have a mount namespace: %v", err)
	}
	t.Logf("%s", out)
	if err != nil || !strings.Contains(string(out), "--- PASS: TestOnAFullDisk") {
		t.Fatalf("in the namespace: %v", err)
	}
}

func TestOnAFullDisk(t *testing.T) {
	dir := os.Getenv(onFullDisk)
	if dir == "" {
		t.Skip("TestAFullDisk runs this in a mount namespace of its own")
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=48m"); err != nil {
		t.Fatalf("mounting a file system: %v", err)
	}
	defer func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }()
	w := newWorldIn(t, dir, fleettest.Again(t))
	m, _, _ := w.guarded(master.Config{Name: "m"})
	count, ran := counting("test.count")
	w.peel(w.Enroll("web"), "", count)
	fleettest.Eventually(t, "it is there", online(m, 1))
	runs := func(when string) {
		t.Helper()
		fleettest.Eventually(t, when+" a job runs", func() error {
			j, err := m.Run(t.Context(), fleet.JobRequest{Target: "web", Function: "test.count", Timeout: 10 * time.Second})
			if err != nil {
				return err
			}
			if done, _ := follow(t, m, j.JID); done.Summary.Answered != 1 || done.Summary.Failed != 0 {
				return fmt.Errorf("%+v", done.Summary)
			}
			return nil
		})
	}
	runs("with room")

	// Another program fills the disk, up to a few megabytes.
	room := fillUp(t, dir, 8<<20)
	refused := func(when string, parts ...string) {
		t.Helper()
		before := ran.Load()
		time.Sleep(time.Second) // the disk is looked at a few times a second
		err := refuseJobs(t, m)
		for _, part := range append(parts, "the job is not sent", dir) {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: refused with: %v; want %q", when, err, part)
			}
		}
		if ran.Load() != before {
			t.Errorf("%s: %d refused jobs ran", when, ran.Load()-before)
		}
	}
	refused("almost full", "the disk is full", "make room")
	nothingHalfWritten(t, w, m)
	room()
	runs("with room again")

	// It takes all that is left, and what the bus writes meanwhile fails.
	room = fillUp(t, dir, 0)
	_, _ = w.JS.Publish(t.Context(), "$KV."+bus.Basket+".x", make([]byte, 64<<10))
	refused("full to the last byte")
	room()
	refused("after a write has failed", "no space left on device", "restart this server")
	stop(t, w.Bus)
	if err := w.Bus.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	fleettest.Eventually(t, "the peel is back", online(m, 1))
	nothingHalfWritten(t, w, m)
	runs("after a restart of the bus")
}

// fillUp leaves only so many bytes of a file system free, until the returned
// function is called.
func fillUp(t *testing.T, dir string, leave int64) func() {
	t.Helper()
	ballast, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 64<<10); ; {
		var fsys unix.Statfs_t
		if err := unix.Statfs(dir, &fsys); err != nil {
			t.Fatal(err)
		}
		if leave > 0 && int64(fsys.Bavail)*fsys.Bsize <= leave {
			break
		}
		if _, err := ballast.Write(block); errors.Is(err, syscall.ENOSPC) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		_ = ballast.Close()
		if err := os.Remove(ballast.Name()); err != nil {
			t.Fatal(err)
		}
	}
}

// refuseJobs sends jobs until one is refused.
func refuseJobs(t *testing.T, m *master.Master) error {
	t.Helper()
	long := strings.Repeat("x", 100<<10)
	for range 2000 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, err := m.Run(ctx, fleet.JobRequest{Target: "nobody-else or web", Function: "test.ping", Args: []string{long}, Timeout: time.Second})
		cancel()
		if err != nil {
			return err
		}
	}
	t.Fatal("2000 jobs were taken")
	return nil
}

// nothingHalfWritten compares what is listed with what the bucket has.
func nothingHalfWritten(t *testing.T, w *world, m *master.Master) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	kv, err := w.JS.KeyValue(ctx, bus.Jobs)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := kv.Keys(ctx)
	if err != nil {
		t.Fatal(err)
	}
	records := map[string]bool{}
	for _, k := range keys {
		if !strings.Contains(k, ".") {
			records[k] = true
		}
	}
	for _, k := range keys {
		if jid, _, part := strings.Cut(k, "."); part && !records[jid] {
			t.Errorf("%s is left of a job that was refused", k)
		}
	}
	jobs, err := m.Jobs(ctx, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs {
		if !records[j.JID] {
			t.Errorf("the job %s is listed, and has no record", j.JID)
		}
	}
}

// TestAFullBucket has as little room as JetStream can be given.
func TestAFullBucket(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *natsd.Config) { cfg.JetStream.MaxFileStore = "48MiB" })
	m, _ := w.master("m")
	count, ran := counting("test.count")
	w.peel(w.Enroll("web"), "", count)
	fleettest.Eventually(t, "it is there", online(m, 1))
	before := ran.Load()
	refused := refuseJobs(t, m)
	if !strings.Contains(refused.Error(), "is not sent") || !strings.Contains(refused.Error(), "maximum bytes exceeded") {
		t.Errorf("refused with: %v", refused)
	}
	if ran.Load() != before {
		t.Errorf("%d refused jobs ran", ran.Load()-before)
	}
	nothingHalfWritten(t, w, m)
}
