package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// maxWall is how long a program may take: one that hangs is ended.
const maxWall = 2 * time.Minute

// spent is what a process needed, as wait4 tells it.
type spent struct {
	wall time.Duration
	cpu  time.Duration // user and system, with its children's
	rss  int64         // bytes at most
}

// measure runs a command to its end. What it writes is passed over, but for
// the end of it when it fails.
func measure(ctx context.Context, dir, name string, args ...string) (spent, error) {
	ctx, cancel := context.WithTimeout(ctx, maxWall)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	tail := &tail{}
	cmd.Stdout, cmd.Stderr = tail, tail
	began := time.Now()
	err := cmd.Run()
	wall := time.Since(began)
	if err != nil {
		return spent{}, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, tail.last)
	}
	use, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return spent{}, fmt.Errorf("%s: the system does not tell what it used", name)
	}
	return spent{wall, time.Duration(use.Utime.Nano() + use.Stime.Nano()), use.Maxrss * 1024}, nil
}

// tail keeps the end of what is written.
type tail struct{ last []byte }

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.last = append(t.last, b...)
	if n := len(t.last); n > 2000 {
		t.last = bytes.Clone(t.last[n-2000:])
	}
	return len(b), nil
}

// warm reads a file, so that it lies in memory.
func warm(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(io.Discard, f)
	return err
}

// result prints a figure for programs: the ratio is ours divided by the other.
func result(name string, ours, limit float64, unit string) {
	fmt.Printf("RESULT name=%s ours=%.4g%s limit=%.4g%s ratio=%.3f\n", name, ours, unit, limit, unit, ours/limit)
}
