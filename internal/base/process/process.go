// Package process keeps a child process running: it is started, started again
// with a growing pause when it dies, and stopped by its own process id.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Config says what to run.
type Config struct {
	Name string   // for the log
	Path string   // the binary
	Args []string // without the binary's name
	Env  []string // nil is this process's
	Dir  string   // working folder; "" is this process's

	Output io.Writer // the child's standard output and error

	// Extra are files that the child inherits as descriptors 3 and up.
	Extra []*os.File

	MinPause time.Duration // before the first restart; default 500 ms
	MaxPause time.Duration // the pause doubles up to here; default 30 s
	Grace    time.Duration // between SIGTERM and SIGKILL; default 10 s

	// Once ends the supervision with the child's first end, whose state
	// Died yields.
	Once bool
}

// Child supervises one process. It is a lifecycle.Component.
type Child struct {
	cfg Config
	log *slog.Logger

	mu     sync.Mutex
	cancel context.CancelFunc
	done   chan struct{}

	pid      atomic.Int64
	restarts atomic.Int64
	died     chan error
}

// New makes a child that is not started yet.
func New(cfg Config, log *slog.Logger) *Child {
	if cfg.MinPause <= 0 {
		cfg.MinPause = 500 * time.Millisecond
	}
	if cfg.MaxPause <= 0 {
		cfg.MaxPause = 30 * time.Second
	}
	if cfg.Grace <= 0 {
		cfg.Grace = 10 * time.Second
	}
	return &Child{cfg: cfg, log: log.With("process", cfg.Name), died: make(chan error, 1)}
}

// Start starts the process. An error of the first start is returned; later
// ones are logged and tried again.
func (c *Child) Start(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel, c.done = cancel, make(chan struct{})
	first := make(chan error, 1)
	go c.supervise(ctx, first)
	if err := <-first; err != nil {
		cancel()
		<-c.done
		c.cancel = nil
		return err
	}
	return nil
}

// Stop sends SIGTERM to the process, SIGKILL after the grace period or when
// the context ends, and waits for its end.
func (c *Child) Stop(ctx context.Context) error {
	c.mu.Lock()
	cancel, done := c.cancel, c.done
	c.mu.Unlock()
	if cancel == nil {
		return nil
	}
	cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	if pid := c.PID(); pid > 0 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-done
	return fmt.Errorf("%s did not end in time and was killed", c.cfg.Name)
}

// Died yields the end of a child with Once.
func (c *Child) Died() <-chan error { return c.died }

// PID returns the id of the running process, or 0 between two runs.
func (c *Child) PID() int { return int(c.pid.Load()) }

// Restarts counts the starts after the first.
func (c *Child) Restarts() int { return int(c.restarts.Load()) }

// supervise runs the process again and again. The thread is locked for as
// long, because the kernel sends the parent-death signal when the thread that
// made the child ends (prctl(2), PR_SET_PDEATHSIG).
func (c *Child) supervise(ctx context.Context, first chan<- error) {
	runtime.LockOSThread()
	defer close(c.done)
	pause := c.cfg.MinPause
	for {
		began := time.Now()
		err := c.run(ctx, first)
		first = nil
		if ctx.Err() != nil {
			return
		}
		if c.cfg.Once {
			c.died <- fmt.Errorf("%s ended: %w", c.cfg.Name, orClean(err))
			return
		}
		if time.Since(began) > c.cfg.MaxPause {
			pause = c.cfg.MinPause
		}
		wait := pause + rand.N(pause/4+1)
		c.log.Warn("process ended, starting it again", "state", orClean(err).Error(), "in", wait.Round(time.Millisecond))
		pause = min(2*pause, c.cfg.MaxPause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		c.restarts.Add(1)
	}
}

var errClean = errors.New("exit status 0")

func orClean(err error) error {
	if err == nil {
		return errClean
	}
	return err
}

// run starts the process once and waits for its end. The outcome of the start
// goes to first, when there is one.
func (c *Child) run(ctx context.Context, first chan<- error) error {
	cmd := exec.CommandContext(ctx, c.cfg.Path, c.cfg.Args...)
	cmd.Env, cmd.Dir = c.cfg.Env, c.cfg.Dir
	cmd.Stdout, cmd.Stderr = c.cfg.Output, c.cfg.Output
	cmd.ExtraFiles = c.cfg.Extra
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = c.cfg.Grace
	err := cmd.Start()
	if err == nil {
		c.pid.Store(int64(cmd.Process.Pid))
	}
	if first != nil {
		first <- err
	}
	if err != nil {
		return err
	}
	c.log.Debug("process started", "pid", cmd.Process.Pid)
	err = cmd.Wait()
	c.pid.Store(0)
	return err
}
