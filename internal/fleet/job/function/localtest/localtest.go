// Package localtest gives tests a host of their own: a folder for its root,
// and a record in the place of its programs.
package localtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// Host is a host for a test.
type Host struct {
	*local.System
	t testing.TB

	mu      sync.Mutex
	answers map[string]func() local.Output
	ran     []string
}

// New makes a host with the programs, which are looked for in /usr/bin.
func New(t testing.TB, programs ...string) *Host {
	t.Helper()
	h := &Host{t: t, answers: map[string]func() local.Output{}}
	h.System = &local.System{Root: t.TempDir(), Run: h.run}
	for _, p := range programs {
		h.Program("usr/bin/" + p)
	}
	return h
}

// Program makes a file that may be run. It is never run.
func (h *Host) Program(path string) {
	h.t.Helper()
	h.File(path, "")
	if err := os.Chmod(h.Path(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
}

// File makes a file of the host.
func (h *Host) File(path, content string) {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Dir(h.Path(path)), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(h.Path(path), []byte(content), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// Answer says what a program gives whose command line begins so; the longest
// beginning counts. With several outputs each is for one run, the last for all
// that follow.
func (h *Host) Answer(line string, outputs ...local.Output) {
	n := 0
	h.answers[line] = func() local.Output {
		o := outputs[min(n, len(outputs)-1)]
		n++
		return o
	}
}

// Ran returns the command lines that were run.
func (h *Host) Ran() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string{}, h.ran...)
}

func (h *Host) run(ctx context.Context, c local.Command) (local.Output, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	line := strings.Join(append([]string{filepath.Base(c.Path)}, c.Args...), " ")
	h.ran = append(h.ran, line)
	best, at := func() local.Output { return local.Output{} }, -1
	for begin, out := range h.answers {
		if strings.HasPrefix(line, begin) && len(begin) > at {
			best, at = out, len(begin)
		}
	}
	if at < 0 {
		return local.Output{}, fmt.Errorf("the test has no answer to %s", line)
	}
	return best(), ctx.Err()
}

// Do runs a function of a family with arguments as they are typed.
func Do(t testing.TB, runs map[string]schema.Run, host schema.Host, name string, args ...string) (schema.Result, error) {
	t.Helper()
	for _, f := range schema.All() {
		if f.Name == name {
			f.Run = runs[name]
			return f.Do(context.Background(), host, args, 0)
		}
	}
	return schema.Result{}, errs.New(errs.NotFound, "there is no function %s", name)
}
