// Package cmd holds the functions that run commands and scripts.
package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// MaxOutput is how much of each of a command's two outputs is kept.
const MaxOutput = 512 << 10

// Command is the value of cmd.run and cmd.script. Cut is how many bytes were
// left out of the middle of an output.
type Command struct {
	Stdout    string `json:"stdout"`
	Stderr    string `json:"stderr"`
	StdoutCut int64  `json:"stdout_cut,omitempty"`
	StderrCut int64  `json:"stderr_cut,omitempty"`
	ExitCode  int    `json:"exit_code"`
	Signal    string `json:"signal,omitempty"` // that ended it
	TimedOut  bool   `json:"timed_out,omitempty"`
}

// Runs are the functions cmd.*.
func Runs(s *local.System) map[string]schema.Run {
	return map[string]schema.Run{"cmd.run": run(s), "cmd.script": script(s), "cmd.which": which(s)}
}

func run(s *local.System) schema.Run {
	return func(ctx context.Context, c schema.Call) (schema.Result, error) {
		return execute(ctx, s, c, []string{"/bin/sh", "-c", c.Args.Text("command")})
	}
}

func which(s *local.System) schema.Run {
	return func(_ context.Context, c schema.Call) (schema.Result, error) {
		name := c.Args.Text("program")
		path, ok := s.Look(name)
		if !ok {
			return schema.Result{}, errs.New(errs.NotFound, "there is no program %s in %s", schema.Clip(name), local.SearchPath())
		}
		return schema.Result{Value: path}, nil
	}
}

// execute runs a program in the surroundings that the arguments describe.
func execute(ctx context.Context, s *local.System, c schema.Call, argv []string) (schema.Result, error) {
	limit := c.Limit
	if t := c.Args.Duration("timeout"); t > 0 && (limit <= 0 || t < limit) {
		limit = t
	}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	stdout, stderr := local.NewKeep(MaxOutput), local.NewKeep(MaxOutput)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = c.Args.Text("cwd")
	if cmd.Dir == "" {
		cmd.Dir = "/"
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if stdin := c.Args.Text("stdin"); stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	}
	if err := surround(s, c.Args, cmd); err != nil {
		return schema.Result{}, err
	}
	err := local.RunGroup(ctx, cmd, syscall.SIGKILL)
	if cmd.ProcessState == nil {
		if info, bad := os.Stat(cmd.Dir); bad != nil || !info.IsDir() { // the kernel's error does not tell it from the program
			return schema.Result{}, errs.New(errs.Invalid, "cannot start the command: cwd=%s is no folder of this host", schema.Clip(cmd.Dir))
		}
		return schema.Result{}, errs.New(errs.Invalid, "cannot start the command: %w", err)
	}
	out := Command{ExitCode: cmd.ProcessState.ExitCode()}
	out.Stdout, out.StdoutCut = stdout.Text()
	out.Stderr, out.StderrCut = stderr.Text()
	return out.judge(ctx, cmd, err, limit)
}

// surround sets the environment and the user.
func surround(s *local.System, args schema.Values, cmd *exec.Cmd) error {
	cmd.Env = os.Environ()
	if name := args.Text("user"); name != "" {
		if err := local.Root("running a command as another user"); err != nil {
			return err
		}
		u, err := s.User(name)
		if err != nil {
			return err
		}
		groups, err := s.GroupsOf(u)
		if err != nil {
			return err
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: u.UID, Gid: u.GID, Groups: groups}}
		cmd.Env = append(cmd.Env, "HOME="+u.Home, "USER="+u.Name, "LOGNAME="+u.Name, "SHELL="+u.Shell)
	}
	for _, v := range args.List("env") {
		if name, _, ok := strings.Cut(v, "="); !ok || name == "" {
			return errs.New(errs.Invalid, "%s is no NAME=VALUE for the environment", schema.Clip(v))
		}
		cmd.Env = append(cmd.Env, v)
	}
	return nil
}

// judge says how the command ended. A command that a signal ended has the exit
// code that a shell would show.
func (out Command) judge(ctx context.Context, cmd *exec.Cmd, err error, limit time.Duration) (schema.Result, error) {
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
	return schema.Result{Value: out, ExitCode: out.ExitCode, Failed: failed}, nil
}
