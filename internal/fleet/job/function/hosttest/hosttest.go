// Package hosttest gives a test a host of its own to break: what the machine
// has, under a layer that keeps every change to itself, with processes,
// mounts, names and a network of its own, and with an init system where one is
// wanted. The real programs run on it, as root, and nothing of the machine
// changes. Where that cannot be made, the test is skipped and says why.
package hosttest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Setup is what a host is to be.
type Setup struct {
	Programs []string          // paths that have to be there; the test is skipped without one
	Debs     []string          // Debian packages unpacked from apt's cache; the test is skipped without one
	Hide     []string          // paths that are taken away
	Files    map[string]string // more files; one that begins with #! may be run
	Init     []string          // what runs as the first process, and starts Script; none: the test itself
	Cgroup   bool              // with a control group of its own, as systemd wants
}

// Script is what Init has to start, once: it runs the test.
const Script = "/mnt/rind/run"

const (
	stageEnv = "RIND_TEST_HOST"        // "", "enter" or "inside"
	dirEnv   = "RIND_TEST_HOST_FOLDER" // the folder that the test and its host share
	shared   = "/mnt/rind"             // where the host has it
	limit    = 3 * time.Minute
)

// Run runs fn on a host of its own: it starts the test's program again there,
// for this test alone, and waits. Nothing should follow it in the test: it would
// run there too.
func Run(t *testing.T, s Setup, fn func(*testing.T)) {
	t.Helper()
	switch os.Getenv(stageEnv) {
	case "inside":
		fn(t)
		return
	case "enter":
		if err := enter(s); err != nil {
			t.Fatal(err)
		}
		if s.Init == nil {
			fn(t)
			return
		}
		t.Fatal(syscall.Exec(s.Init[0], s.Init, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "container=rind"}))
	}
	s.need(t)
	text, err := s.start(t)
	switch passed := regexp.MustCompile(`(?m)^--- PASS: ` + t.Name() + ` `).MatchString(text); {
	case err == nil && passed:
	case err == nil && strings.Contains(text, "--- SKIP: "+t.Name()+" "):
		t.Skip(text)
	default:
		t.Errorf("%v\n%s", err, text)
	}
}

func (s Setup) need(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a host of its own needs root")
	}
	for _, p := range s.Programs {
		if _, err := os.Stat(p); err != nil {
			t.Skipf("%s is not there", p)
		}
	}
	for _, d := range s.Debs {
		if deb(d) == "" {
			t.Skipf("there is no %s in %s: apt-get download %s", d, archives, d)
		}
	}
}

// start runs the test's program in its own namespaces, and returns what it wrote.
func (s Setup) start(t *testing.T) (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	dir, one := t.TempDir(), "-test.run=^"+t.Name()+"$"
	script := fmt.Sprintf("#!/bin/sh\nexport %s=inside HOME=/root\ncd /\n%[2]s/test '%s' -test.v >%[2]s/log 2>&1 </dev/null\necho $? >%[2]s/exit.new\nmv %[2]s/exit.new %[2]s/exit\n", stageEnv, shared, one)
	if err := os.WriteFile(filepath.Join(dir, "run"), []byte(script), 0o755); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	runtime.LockOSThread() // the child ends with the thread that started it
	defer runtime.UnlockOSThread()
	var text bytes.Buffer
	cmd := exec.CommandContext(ctx, exe, one, "-test.v")
	cmd.Env = append(os.Environ(), stageEnv+"=enter", dirEnv+"="+dir)
	cmd.Stdout, cmd.Stderr = &text, &text
	cmd.WaitDelay = 5 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWNET | syscall.CLONE_NEWCGROUP,
		Pdeathsig:  syscall.SIGKILL,
	}
	if s.Cgroup {
		group := cgroup(t)
		defer group.Close()
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(group.Fd())
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("this process may not make namespaces: %v", err)
	}
	if s.Init == nil {
		err := cmd.Wait()
		return text.String(), err
	}
	code := wait(ctx, filepath.Join(dir, "exit"))
	_ = cmd.Process.Kill() // the first process: all others of the host go with it
	_ = cmd.Wait()         // killed, and says so
	log, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil {
		return text.String(), fmt.Errorf("the host that %s started ran no test: %w", s.Init[0], err)
	}
	if code != "0" {
		return text.String() + string(log), fmt.Errorf("the test ended with %q on the host that %s started", code, s.Init[0])
	}
	return string(log), nil
}

// wait returns what a file has when it is there, or "".
func wait(ctx context.Context, path string) string {
	for ctx.Err() == nil {
		if b, err := os.ReadFile(path); err == nil {
			return strings.TrimSpace(string(b))
		}
		time.Sleep(20 * time.Millisecond)
	}
	return ""
}

// cgroup makes a control group in the unified hierarchy, which is removed after
// the test.
func cgroup(t *testing.T) *os.File {
	t.Helper()
	root := "/sys/fs/cgroup"
	if _, err := os.Stat(root + "/unified/cgroup.procs"); err == nil {
		root += "/unified"
	}
	dir, err := os.MkdirTemp(root, "rind-test-")
	if err != nil {
		t.Skipf("no control group can be made: %v", err)
	}
	t.Cleanup(func() {
		for range 100 { // its processes may be ending
			var all []string
			_ = filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					all = append(all, p)
				}
				return nil
			})
			for i := len(all) - 1; i >= 0; i-- {
				_ = os.Remove(all[i]) // tried again
			}
			if _, err := os.Stat(dir); os.IsNotExist(err) {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Errorf("%s could not be removed", dir)
	})
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
