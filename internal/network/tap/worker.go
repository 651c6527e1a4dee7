package tap

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/pipeline"
)

// minFlows is the least that the flow table of one of several workers holds.
const minFlows = 1024

// worker is a goroutine with a source and a pipeline of its own, one of those
// that share an interface. They share nothing else.
type worker struct {
	number int
	cpu    int // that it is bound to; -1 is any
	log    *slog.Logger
	pipe   *pipeline.Pipeline
	due    chan<- struct{}
	cuts   chan cutRequest
	last   chan network.Report // what the pipeline held at the end
	used   network.Report      // the last one that was written; of the goroutine that cuts

	dropped uint64    // of the source in hand, counted already
	asked   time.Time // when the source was last asked for its counters
	lost    uint64    // received and neither dropped nor read when a source was closed; not in a report yet
	joined  atomic.Uint64
	before  uint64 // joined, of the sources before
	use     use
}

func newWorker(n int, name string, cfg Capture, flows Flow, log *slog.Logger, due chan<- struct{}) *worker {
	pipe := pipeline.Config{Interface: name, Log: log}
	flows.into(&pipe, cfg.Workers)
	w := &worker{
		number: n, cpu: -1, log: log.With("worker", n), due: due, pipe: pipeline.New(pipe),
		cuts: make(chan cutRequest), last: make(chan network.Report, 1),
	}
	if len(cfg.CPUs) > 0 {
		w.cpu = cfg.CPUs[n%len(cfg.CPUs)]
	}
	return w
}

// capture reads a source until it fails or the context ends, and closes it.
func (w *worker) capture(ctx context.Context, src capture.Source) error {
	if w.cpu >= 0 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		release, err := pin(w.cpu)
		if err != nil {
			w.log.Warn("the worker could not be bound to its CPU and runs on any", "cpu", w.cpu, "error", err)
		}
		defer release()
	}
	w.dropped, w.before = 0, w.joined.Load()
	w.use.open()
	defer w.use.close()
	var err error
	for err == nil && ctx.Err() == nil {
		_, err = src.Read(w.pipe, readWait)
		if time.Since(w.asked) > statsEvery {
			w.drops(src)
		}
		if w.pipe.Due() {
			select {
			case w.due <- struct{}{}:
			default:
			}
		}
		select {
		case c := <-w.cuts:
			w.drops(src)
			w.answer(c)
		default:
		}
	}
	w.end(src)
	if closing := src.Close(); closing != nil {
		w.log.Warn("the source could not be closed", "error", closing)
	}
	if err != nil {
		return fmt.Errorf("capturing: %w", err)
	}
	return nil
}

// end lets nothing more in, and reads what the source holds already, for a
// moment at most. What it then still holds is given up, and counted.
func (w *worker) end(src capture.Source) {
	if q, ok := src.(interface{ Quiesce() error }); ok {
		if err := q.Quiesce(); err != nil {
			w.log.Debug("the source takes packets until it is closed", "error", err)
		}
	}
	for began := time.Now(); ; {
		n, err := src.Read(w.pipe, 0)
		st, failed := w.counted(src)
		left := st.Received - min(st.Dropped+st.Read, st.Received)
		if n == 0 && (left == 0 || failed != nil) || time.Since(began) > drainFor {
			w.lost += left
			return
		}
		if n == 0 && err != nil { // the kernel still hands over the block that it was filling
			time.Sleep(time.Millisecond)
		} else if n == 0 {
			_, _ = src.Read(w.pipe, time.Millisecond) // the counters tell whether it went well
		}
	}
}

// drops puts into the ledger what the kernel dropped since the last time.
func (w *worker) drops(src capture.Source) { _, _ = w.counted(src) } // a failure is told there

// counted is drops, and returns the source's counters.
func (w *worker) counted(src capture.Source) (capture.Stats, error) {
	w.asked = time.Now()
	st, err := src.Stats()
	if err != nil {
		w.log.Debug("the source's counters could not be read", "error", err)
		return st, err
	}
	if st.Dropped > w.dropped {
		w.pipe.ReceivedKernelDrops(st.Dropped - w.dropped)
		w.dropped = st.Dropped
	}
	w.joined.Store(w.before + st.Joined)
	w.use.note(st)
	return st, nil
}

// answer closes a report. The lists of the one before serve for the next.
func (w *worker) answer(c cutRequest) {
	r := w.giveUp(w.pipe.Cut(c.end))
	w.pipe.Reuse(&c.used)
	c.reply <- r
}

// finish closes the last report.
func (w *worker) finish() { w.last <- w.giveUp(w.pipe.Finish(time.Now())) }

// giveUp puts what was lost with a source into the ledger.
func (w *worker) giveUp(r network.Report) network.Report {
	if w.lost > 0 && len(r.Interfaces) > 0 {
		r.Interfaces[0].Received += w.lost
		r.Interfaces[0].DroppedPipeline += w.lost
		w.lost = 0
	}
	return r
}

// idle answers cuts while there is no source, until the context ends.
func (w *worker) idle(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-w.cuts:
			w.answer(c)
		}
	}
}
