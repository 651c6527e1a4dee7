// Package ps holds the functions about processes. They read /proc.
package ps

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// Limits of what is read.
const (
	maxProcesses = 1 << 17
	maxCommand   = 512 // bytes of a command line
	ticks        = 100 // of a processor's time in a second; the kernel shows no other to programs
)

// Process is a process.
type Process struct {
	PID     int     `json:"pid"`
	Parent  int     `json:"ppid"`
	User    string  `json:"user"`
	State   string  `json:"state"` // a letter, see proc_pid_stat(5)
	Memory  int64   `json:"rss_bytes"`
	CPU     float64 `json:"cpu_seconds"`
	Command string  `json:"command"`

	percent float64
	began   uint64 // ticks after the boot, which tells one process from the next of the same number
}

// Runs are the functions ps.*.
func Runs(s *local.System) map[string]schema.Run {
	return map[string]schema.Run{"ps.list": list(s), "ps.top": top(s), "ps.kill": kill(s)}
}

// all reads the processes; those that end meanwhile are left out.
func all(ctx context.Context, s *local.System) ([]Process, error) {
	dir, err := os.Open(s.Path("proc"))
	if err != nil {
		return nil, local.FileError("reading", "/proc", err)
	}
	defer dir.Close()
	entries, err := dir.Readdirnames(maxProcesses)
	if err != nil {
		return nil, local.FileError("reading", "/proc", err)
	}
	names := s.Names()
	var out []Process
	for _, e := range entries {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		pid, err := strconv.Atoi(e)
		if err != nil {
			continue
		}
		if p, ok := one(s, names, pid); ok {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b Process) int { return a.PID - b.PID })
	return out, nil
}

func one(s *local.System, names local.Names, pid int) (Process, bool) {
	dir := "proc/" + strconv.Itoa(pid)
	stat, err := s.Read(dir + "/stat")
	if err != nil {
		return Process{}, false
	}
	p, ok := parseStat(stat)
	if !ok || p.PID != pid {
		return Process{}, false
	}
	if info, err := os.Stat(s.Path(dir)); err == nil {
		if sys, ok := info.Sys().(*syscall.Stat_t); ok {
			p.User = names.User(sys.Uid)
		}
	}
	if line, err := s.Read(dir + "/cmdline"); err == nil && line != "" {
		if len(line) > maxCommand {
			line = line[:maxCommand] + "…"
		}
		p.Command = local.Clean(strings.ReplaceAll(line, "\x00", " "))
	}
	return p, true
}

// parseStat reads proc_pid_stat(5). The name stands in parentheses, and may
// hold some itself.
func parseStat(text string) (Process, bool) {
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return Process{}, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(text[:open]))
	w := strings.Fields(text[end+1:])
	if err != nil || len(w) < 22 {
		return Process{}, false
	}
	n := func(i int) int64 {
		v, _ := strconv.ParseInt(w[i], 10, 64) // 0 for what is no number
		return v
	}
	return Process{
		PID: pid, State: local.Clean(w[0]), Parent: int(n(1)), CPU: float64(n(11)+n(12)) / ticks, began: uint64(n(19)),
		Memory: n(21) * int64(os.Getpagesize()), Command: "[" + local.Clean(text[open+1:end]) + "]",
	}, true
}

func list(s *local.System) schema.Run {
	return func(ctx context.Context, c schema.Call) (schema.Result, error) {
		found, err := all(ctx, s)
		if err != nil {
			return schema.Result{}, err
		}
		match, user := c.Args.Text("match"), c.Args.Text("user")
		found = slices.DeleteFunc(found, func(p Process) bool {
			return !strings.Contains(p.Command, match) || user != "" && p.User != user
		})
		res := schema.Result{}
		if limit := c.Args.Int("limit"); len(found) > limit {
			res.Failed = strconv.Itoa(len(found)) + " processes are found; these are the first " + strconv.Itoa(limit)
			found = found[:limit]
		}
		res.Value = append([]Process{}, found...)
		return res, nil
	}
}

// Top is a row of ps.top.
type Top struct {
	PID     int     `json:"pid"`
	User    string  `json:"user"`
	CPU     float64 `json:"cpu_percent"` // of one processor
	Memory  int64   `json:"rss_bytes"`
	Command string  `json:"command"`
}

func top(s *local.System) schema.Run {
	return func(ctx context.Context, c schema.Call) (schema.Result, error) {
		interval := min(max(c.Args.Duration("interval"), 100*time.Millisecond), time.Minute)
		before, err := all(ctx, s)
		if err != nil {
			return schema.Result{}, err
		}
		began := time.Now()
		t := time.NewTimer(interval)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return schema.Result{}, context.Cause(ctx)
		}
		after, err := all(ctx, s)
		if err != nil {
			return schema.Result{}, err
		}
		measure(before, after, time.Since(began))
		slices.SortStableFunc(after, func(a, b Process) int {
			if c.Args.Text("by") == "memory" || a.percent == b.percent {
				return int(max(min(b.Memory-a.Memory, 1), -1))
			}
			return map[bool]int{true: -1, false: 1}[a.percent > b.percent]
		})
		out := []Top{}
		for _, p := range after[:min(len(after), c.Args.Int("count"))] {
			out = append(out, Top{PID: p.PID, User: p.User, CPU: p.percent, Memory: p.Memory, Command: p.Command})
		}
		return schema.Result{Value: out}, nil
	}
}

// measure computes the share of a processor that each process had.
func measure(before, after []Process, over time.Duration) {
	old := map[int]Process{}
	for _, p := range before {
		old[p.PID] = p
	}
	for i, p := range after {
		used := p.CPU
		if o, ok := old[p.PID]; ok && o.began == p.began {
			used -= o.CPU
		}
		after[i].percent = float64(int(1000*used/over.Seconds()+0.5)) / 10
	}
}

// Killed is the value of ps.kill.
type Killed struct {
	Sent    bool    `json:"sent"`
	Signal  string  `json:"signal"`
	Process Process `json:"process"`
}

var signals = map[string]syscall.Signal{
	"TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP, "QUIT": syscall.SIGQUIT,
	"USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2, "STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT,
}

// kill looks at the process that its handle stands for, so that the signal
// reaches no other that has got the number since.
func kill(s *local.System) schema.Run {
	return func(_ context.Context, c schema.Call) (schema.Result, error) {
		pid, name := c.Args.Int("pid"), c.Args.Text("signal")
		if pid <= 1 || pid == os.Getpid() {
			return schema.Result{}, errs.New(errs.Forbidden, "no signal is sent to process %d: it is the first one, or the peel", pid)
		}
		handle, err := os.FindProcess(pid)
		if err != nil {
			return schema.Result{}, errs.New(errs.NotFound, "there is no process %d", pid)
		}
		defer func() { _ = handle.Release() }() // nothing waits for it
		p, ok := one(s, s.Names(), pid)
		if !ok {
			return schema.Result{}, errs.New(errs.NotFound, "there is no process %d", pid)
		}
		if match := c.Args.Text("match"); !strings.Contains(p.Command, match) {
			return schema.Result{}, errs.New(errs.Conflict, "process %d is %s, which does not have %s", pid, schema.Clip(p.Command), schema.Clip(match))
		}
		out := Killed{Signal: name, Process: p, Sent: !c.Args.Bool("test")}
		if out.Sent {
			if err := handle.Signal(signals[name]); err != nil {
				return schema.Result{}, errs.New(errs.Forbidden, "sending %s to process %d: %w", name, pid, err)
			}
		}
		return schema.Result{Value: out}, nil
	}
}
