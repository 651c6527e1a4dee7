package tap

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/uplink"
)

const (
	reportRows = 50_000   // of each kind in one report; a longer one is split
	minRows    = 100      // below which a report that is too large is given up
	heldBytes  = 64 << 20 // of reports that wait in memory for the disk
)

// writerConfig is what a writer stands on.
type writerConfig struct {
	ID      network.TapID
	Boot    string
	Version string
	Gap     *network.Gap
	Began   time.Time // where the first report starts; zero leaves it as it is
	Spool   *uplink.Spool
	Log     *slog.Logger
	Metrics *metrics
}

// writer numbers, encodes and spools reports. It belongs to one goroutine.
type writer struct {
	writerConfig
	encoder  *report.Encoder
	sequence uint64
	end      time.Time // of the report before
	held     []encoded // not spooled yet, because the disk failed
	heldSize int
	lost     uint64 // reports given up, because the disk failed for too long

	told atomic.Pointer[told] // of the last report, for others
}

// told is what a writer says of itself.
type told struct{ sequence, lost uint64 }

type encoded struct {
	sequence uint64
	end      time.Time
	body     []byte
}

func newWriter(cfg writerConfig) (*writer, error) {
	encoder, err := report.NewEncoder()
	return &writer{writerConfig: cfg, encoder: encoder, end: cfg.Began}, err
}

// write spools a report that reaches from the end of the one before to its own
// end.
func (w *writer) write(r *network.Report) {
	if r.End.IsZero() {
		r.End = time.Now()
	}
	if !w.end.IsZero() {
		r.Start = w.end
	}
	if r.End.Before(r.Start) { // the clock was set back
		r.Start = r.End
	}
	w.end = r.End
	w.Metrics.count(r)
	w.split(r, reportRows)
	defer func() { w.told.Store(&told{w.sequence, w.lost}) }()
	if err := w.flush(); err != nil {
		w.Log.Error("reports wait in memory, because the spool cannot be written: make room, or change spool.dir",
			"reports", len(w.held), "bytes", w.heldSize, "error", err)
	}
}

// counts returns how many reports were made and how many lost, up to the last
// one. Any goroutine may ask.
func (w *writer) counts() (reports uint64, s SpoolStatus) {
	if t := w.told.Load(); t != nil {
		reports, s.Lost = t.sequence, t.lost
	}
	return reports, s
}

// split numbers and encodes a report, in several parts when it is long.
func (w *writer) split(r *network.Report, rows int) {
	for _, part := range report.Split(r, rows) {
		part.Identity = network.Identity{Tap: w.ID, Boot: w.Boot, Sequence: w.sequence + 1}
		part.Gap = w.Gap
		w.health(&part.Health)
		body, err := w.encoder.Encode(part)
		if errs.Is(err, errs.TooLarge) && rows/4 >= minRows {
			part.Gap = nil
			w.split(part, rows/4)
			continue
		}
		if err != nil { // cannot be: pipelines bound names and interfaces
			w.lost++
			w.Metrics.lost.Inc()
			w.Log.Error("a report could not be encoded and is lost", "error", err)
			continue
		}
		w.sequence++
		w.Gap = nil
		w.Metrics.encoded.Add(float64(len(body)))
		w.held = append(w.held, encoded{w.sequence, part.End, body})
		w.heldSize += len(body)
	}
}

// flush spools what waits, in order. What waits is bounded: the oldest report
// is given up, and counted.
func (w *writer) flush() error {
	for len(w.held) > 0 {
		e := w.held[0]
		if err := w.Spool.Append(e.sequence, e.end, e.body); err != nil {
			for w.heldSize > heldBytes {
				w.drop()
			}
			return err
		}
		w.heldSize -= len(e.body)
		w.held = w.held[1:]
		w.encoder.Reuse(e.body) // the spool has written it
	}
	w.held = nil
	return nil
}

func (w *writer) drop() {
	w.heldSize -= len(w.held[0].body)
	w.held = w.held[1:]
	w.lost++
	w.Metrics.lost.Inc()
}
