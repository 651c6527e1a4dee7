package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"

	"github.com/rind-project/rind/bench/fleet/sim"
)

// Worker is a process of simulated peels.
type Worker struct {
	First, Count int
	File         string // of its identities

	cmd   *exec.Cmd
	in    io.WriteCloser
	ended chan struct{}

	mu      sync.Mutex
	n       int
	waiting map[int]chan sim.Report
}

// niceness of simulated peels: the processors of hosts are not a server's, so
// that what peels do may not keep servers from their work.
const niceness = "10"

// StartWorker starts this program again as a worker.
func StartWorker(args []string, sharing Sharing) (*Worker, error) {
	w := &Worker{waiting: map[int]chan sim.Report{}, ended: make(chan struct{})}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w.cmd = sharing.command(niceness, self, args...)
	w.cmd.Stderr = os.Stderr
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := w.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	go w.read(out)
	return w, nil
}

func (w *Worker) read(out io.Reader) {
	sc := bufio.NewScanner(out)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var r sim.Report
		if json.Unmarshal(sc.Bytes(), &r) != nil {
			continue
		}
		w.mu.Lock()
		ch := w.waiting[r.N]
		delete(w.waiting, r.N)
		w.mu.Unlock()
		if ch != nil {
			ch <- r
		}
	}
	close(w.ended)
}

// Do gives an order and waits for the report.
func (w *Worker) Do(ctx context.Context, o sim.Order) (sim.Report, error) {
	ch := make(chan sim.Report, 1)
	w.mu.Lock()
	w.n++
	o.N = w.n
	w.waiting[o.N] = ch
	line, err := json.Marshal(o)
	if err == nil {
		_, err = w.in.Write(append(line, '\n'))
	}
	w.mu.Unlock()
	if err != nil {
		return sim.Report{}, fmt.Errorf("ordering %s: %w", o.Do, err)
	}
	select {
	case r := <-ch:
		if r.Error != "" {
			return r, fmt.Errorf("%s: %s", o.Do, r.Error)
		}
		return r, nil
	case <-w.ended:
		return sim.Report{}, fmt.Errorf("%s: the worker ended", o.Do)
	case <-ctx.Done():
		return sim.Report{}, fmt.Errorf("%s: %w", o.Do, ctx.Err())
	}
}

// PID is the process.
func (w *Worker) PID() int { return w.cmd.Process.Pid }

// Kill ends it at once, as a power cut ends hosts.
func (w *Worker) Kill() error {
	err := w.cmd.Process.Kill()
	<-w.ended
	_ = w.cmd.Wait() // it says that it was killed
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Every gives an order to all workers at the same time.
func Every(ctx context.Context, all []*Worker, order func(*Worker) sim.Order) ([]sim.Report, error) {
	out := make([]sim.Report, len(all))
	failed := make([]error, len(all))
	var wg sync.WaitGroup
	for i, w := range all {
		wg.Go(func() { out[i], failed[i] = w.Do(ctx, order(w)) })
	}
	wg.Wait()
	return out, errors.Join(failed...)
}
