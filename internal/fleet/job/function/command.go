package function

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

// MaxOutput is how much of each of a command's two outputs is kept.
const MaxOutput = 512 << 10

// pipeDelay is how long the outputs are read on after the command has ended,
// when something that it left behind holds them open.
const pipeDelay = 2 * time.Second

// Command is the value of cmd.run. Cut is how many bytes were left out of the
// middle of an output.
type Command struct {
	Stdout    string `json:"stdout"`
	Stderr    string `json:"stderr"`
	StdoutCut int64  `json:"stdout_cut,omitempty"`
	StderrCut int64  `json:"stderr_cut,omitempty"`
	ExitCode  int    `json:"exit_code"`
	Signal    string `json:"signal,omitempty"` // that ended it
	TimedOut  bool   `json:"timed_out,omitempty"`
}

func cmdRun() Function {
	return Function{
		Name: "cmd.run",
		Doc:  "Runs a command by /bin/sh and returns its outputs and exit code.",
		Args: []Arg{
			{Name: "command", Type: String, Required: true, Doc: "the command line, quoted as one argument"},
			{Name: "cwd", Type: String, Doc: "folder to run it in; / without it"},
			{Name: "timeout", Type: Duration, Doc: "ends the command earlier than the job does"},
		},
		Run: runCommand,
	}
}

func runCommand(ctx context.Context, c Call) (Result, error) {
	limit := c.Limit
	if t := c.Args.Duration("timeout"); t > 0 && (limit <= 0 || t < limit) {
		limit = t
	}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	stdout, stderr := newKeep(MaxOutput), newKeep(MaxOutput)
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", c.Args.Text("command"))
	cmd.Dir = c.Args.Text("cwd")
	if cmd.Dir == "" {
		cmd.Dir = "/"
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	// The command leads a process group of its own, which ends as a whole.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = pipeDelay
	err := cmd.Run()
	if cmd.ProcessState == nil {
		return Result{}, errs.New(errs.Invalid, "cannot start the command: %w", err)
	}
	out := Command{ExitCode: cmd.ProcessState.ExitCode()}
	out.Stdout, out.StdoutCut = stdout.text()
	out.Stderr, out.StderrCut = stderr.text()
	return out.judge(ctx, cmd, err, limit)
}

// judge says how the command ended. A command that a signal ended has the exit
// code that a shell would show.
func (out Command) judge(ctx context.Context, cmd *exec.Cmd, err error, limit time.Duration) (Result, error) {
	failed := ""
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		out.Signal, out.ExitCode = ws.Signal().String(), 128+int(ws.Signal())
		failed = "the command was ended by a signal: " + out.Signal
	}
	switch {
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		out.TimedOut = true
		failed = fmt.Sprintf("the command ran longer than %s and was ended", limit)
	case err != nil && ctx.Err() != nil:
		failed = fmt.Sprintf("the command was ended: %v", context.Cause(ctx))
	case failed == "" && out.ExitCode != 0:
		failed = fmt.Sprintf("exit code %d", out.ExitCode)
	}
	return Result{Value: out, ExitCode: out.ExitCode, Failed: failed}, nil
}
