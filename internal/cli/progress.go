package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/rind-project/rind/internal/fleet"
)

// progressEvery is how often the line of progress is written anew.
const progressEvery = time.Second

// progress is a line at the foot of a terminal that tells how far a long job
// is. It is written to the error output, when that is a terminal, and is gone
// before anything else is written.
type progress struct {
	out  io.Writer
	quit chan struct{}
	work sync.WaitGroup

	mu               sync.Mutex
	shown            bool
	job              fleet.Job
	answered, failed int
}

// newProgress begins to show how far a job is, after the first second. Where
// there is no terminal it is nil, which shows nothing.
func newProgress(out io.Writer, job fleet.Job) *progress {
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	p := &progress{out: out, job: job, quit: make(chan struct{})}
	p.work.Go(p.loop)
	return p
}

// step notes another wave or state.
func (p *progress) step(job fleet.Job) {
	if p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.job = job
	}
}

// count notes an answer.
func (p *progress) count(ok bool) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answered++
	if !ok {
		p.failed++
	}
}

// line is what is shown.
func (p *progress) line() string {
	text := fmt.Sprintf("%d of %d answered, %d failed", p.answered, p.job.Summary.Targeted, p.failed)
	if p.job.Waves > 1 {
		text = fmt.Sprintf("wave %d of %d: ", p.job.Wave, p.job.Waves) + text
	}
	return text
}

func (p *progress) loop() {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.mu.Lock()
			_, _ = fmt.Fprint(p.out, "\r\x1b[K"+p.line()) // nobody is left to be told
			p.shown = true
			p.mu.Unlock()
		case <-p.quit:
			return
		}
	}
}

// clear takes the line away until it is written again.
func (p *progress) clear() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		_, _ = fmt.Fprint(p.out, "\r\x1b[K") // nobody is left to be told
		p.shown = false
	}
}

func (p *progress) stop() {
	if p == nil {
		return
	}
	close(p.quit)
	p.work.Wait()
	p.clear()
}
