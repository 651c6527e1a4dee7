package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

// Limits of programs.
const (
	MaxOutput = 8 << 20         // bytes of the standard output of a program that a function reads
	maxErrors = 4 << 10         // of its standard error
	grace     = 5 * time.Second // between the request to end and the end
	pipeDelay = 2 * time.Second // how long outputs are read on that a left-over process holds open
)

// searchPath is where programs are looked for, whatever the peel's own
// environment says.
var searchPath = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// SearchPath is the search path as a program's environment has it.
func SearchPath() string { return strings.Join(searchPath, ":") }

// Command is a program to run: never a line for a shell.
type Command struct {
	Path  string // absolute, on the host
	Args  []string
	Env   []string // beside a small fixed environment
	Stdin string
}

// Output is what a program gave.
type Output struct {
	Stdout, Stderr string
	Code           int
	Cut            bool // more than MaxOutput was written
}

// Runner runs a program to its end, or to the context's. Its error says that
// the program did not run or was ended; an exit code is no error.
type Runner func(context.Context, Command) (Output, error)

// Look finds a program in the search path.
func (s *System) Look(name string) (string, bool) {
	if name == "" || strings.ContainsRune(name, '/') {
		return "", false
	}
	for _, dir := range searchPath {
		p := filepath.Join(dir, name)
		if unixExecutable(s.Path(p)) {
			return p, true
		}
	}
	return "", false
}

// Do finds a program, runs it and fails unless it ends with 0 or one of the
// other exit codes that are good.
func (s *System) Do(ctx context.Context, argv []string, env []string, good ...int) (Output, error) {
	path, ok := s.Look(argv[0])
	if !ok {
		return Output{}, errs.New(errs.NotFound, "this host has no program %s", argv[0])
	}
	out, err := s.Run(ctx, Command{Path: path, Args: argv[1:], Env: env})
	if err != nil {
		return out, fmt.Errorf("running %s: %w", argv[0], err)
	}
	return out, out.Check(argv[0], good...)
}

// Check fails with the program's last words unless it ended with 0 or another
// exit code that is good.
func (out Output) Check(program string, good ...int) error {
	if out.Code == 0 || slices.Contains(good, out.Code) {
		return nil
	}
	return errs.New(errs.Internal, "%s ended with exit code %d%s", program, out.Code, lastWords(out))
}

// lastWords are the end of what a program wrote before it failed.
func lastWords(out Output) string {
	text := strings.TrimSpace(out.Stderr)
	if text == "" {
		text = strings.TrimSpace(out.Stdout)
	}
	if text == "" {
		return ""
	}
	lines := strings.Split(text, "\n")
	lines = lines[max(0, len(lines)-4):]
	for i := range lines {
		lines[i] = Clean(lines[i])
	}
	return ": " + strings.Join(lines, "; ")
}

// Exec runs a program of this host as the leader of a process group. At the
// end of the context the group is asked to end, and after a grace period
// ended.
func Exec(ctx context.Context, c Command) (Output, error) {
	stdout, stderr := &head{limit: MaxOutput}, NewKeep(maxErrors)
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Dir = "/"
	cmd.Env = append([]string{"PATH=" + SearchPath(), "LC_ALL=C", "LANG=C", "HOME=/root", "TERM=dumb"}, c.Env...)
	cmd.Stdin = strings.NewReader(c.Stdin)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := RunGroup(ctx, cmd, syscall.SIGTERM)
	out := Output{Stdout: strings.ToValidUTF8(string(stdout.data), "\uFFFD"), Cut: stdout.cut}
	out.Stderr, _ = stderr.Text()
	switch {
	case cmd.ProcessState == nil:
		return out, err
	case ctx.Err() != nil && err != nil:
		return out, fmt.Errorf("it was ended: %w", context.Cause(ctx))
	}
	if out.Code = cmd.ProcessState.ExitCode(); out.Code < 0 {
		return out, fmt.Errorf("it was ended by a signal: %s", cmd.ProcessState)
	}
	return out, nil
}

// RunGroup runs a command whose Cancel and process group it sets: at the end of
// the context the group gets the signal, and what is left is killed.
func RunGroup(ctx context.Context, cmd *exec.Cmd, sig syscall.Signal) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.WaitDelay = pipeDelay
	if sig != syscall.SIGKILL {
		cmd.WaitDelay = grace
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, sig) }
	err := cmd.Run()
	if cmd.Process != nil && ctx.Err() != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the group is gone, mostly
	}
	if errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil {
		return nil // what it left behind holds the outputs open
	}
	return err
}

// head keeps the beginning of what is written.
type head struct {
	data  []byte
	limit int
	cut   bool
}

var _ io.Writer = (*head)(nil)

func (h *head) Write(p []byte) (int, error) {
	take := min(len(p), h.limit-len(h.data))
	h.data = append(h.data, p[:take]...)
	h.cut = h.cut || take < len(p)
	return len(p), nil
}
