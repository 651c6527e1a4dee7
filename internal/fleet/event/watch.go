package event

import (
	"context"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/wait"
	"github.com/rind-project/rind/internal/fleet"
)

// Bounds of a list.
const (
	maxPage   = 1000
	maxScan   = 100_000 // entries that are looked at for one page
	behindFor = 200 * time.Millisecond
)

// Query selects events, from old to new.
type Query struct {
	Glob  string    // of names; "" is all
	Since time.Time // not older; of Watch: the zero time is now
	Until time.Time // of Latest: before this moment; the zero time is now
	After uint64    // behind this place of the stream; takes the place of Since
	Limit int       // of a list; at most 1000, which 0 is
}

// List returns a page of events. Next is After of the next page, 0 on the last:
// a page may be short although there are more, when few of many are chosen.
func (s *Service) List(ctx context.Context, q Query) (events []fleet.Event, next uint64, err error) {
	l, err := s.running()
	if err != nil {
		return nil, 0, err
	}
	g, err := parseGlob(q.Glob)
	if err != nil {
		return nil, 0, err
	}
	if q.Limit <= 0 || q.Limit > maxPage {
		q.Limit = maxPage
	}
	at := place{since: q.Since}
	if q.After > 0 {
		at.seq = q.After + 1
	}
	for scanned := 0; ; {
		entries, err := s.read(ctx, l, at)
		if err != nil || len(entries) == 0 {
			return events, 0, err
		}
		for _, e := range entries {
			if e.ok && g.match(e.event.Name) {
				if len(events) == q.Limit {
					return events, e.seq - 1, nil
				}
				events = append(events, e.event)
			}
			at.seq = e.seq + 1
		}
		if scanned += len(entries); scanned >= maxScan {
			return events, at.seq - 1, nil
		}
	}
}

// Watch returns events as they come, after those since a moment or a place. The
// channel is closed when the context ends, or the service does. Who is slow
// misses nothing that the stream still has, and is told of what it has not.
func (s *Service) Watch(ctx context.Context, q Query) (<-chan fleet.EventStep, error) {
	l, err := s.running()
	if err != nil {
		return nil, err
	}
	g, err := parseGlob(q.Glob)
	if err != nil {
		return nil, err
	}
	if q.After > l.tail.end()+maxAhead {
		return nil, errs.New(errs.Invalid, "there is no event %d yet", q.After)
	}
	w := &watcher{s: s, l: l, glob: g, out: make(chan fleet.EventStep), at: l.tail.end()}
	if q.After > 0 {
		w.at = q.After + 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now != l {
		return nil, errs.New(errs.Unavailable, "events are not taken any more; try again in a moment")
	}
	l.wg.Go(func() { w.run(ctx, q) })
	return w.out, nil
}

// run shows events until the context ends, or the service does.
func (w *watcher) run(ctx context.Context, q Query) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.l.ctx, cancel)()
	defer close(w.out)
	w.s.metrics.watchers.Inc()
	defer w.s.metrics.watchers.Dec()
	if q.After == 0 && !w.begin(ctx, q.Since) {
		return
	}
	for w.step(ctx) {
	}
}

// maxAhead is how far a place may lie behind the end that this master knows:
// another one may know more.
const maxAhead = 10_000

// watcher is somebody who watches.
type watcher struct {
	s    *Service
	l    *live
	glob glob
	out  chan fleet.EventStep
	at   uint64 // the next place
}

// begin tells where new events begin, or shows the first batch of what there is
// since a moment; the steps go on from there.
func (w *watcher) begin(ctx context.Context, since time.Time) bool {
	if since.IsZero() {
		return w.at <= 1 || w.tell(ctx, fleet.EventStep{Place: w.at - 1})
	}
	entries, ok := w.read(ctx, place{since: since})
	if !ok || len(entries) == 0 {
		return ok
	}
	w.at = entries[0].seq
	return w.show(ctx, entries)
}

// step shows what is new, or waits for it.
func (w *watcher) step(ctx context.Context) bool {
	entries, known, news := w.l.tail.from(w.at)
	if known && len(entries) == 0 {
		select {
		case <-news:
			return true
		case <-ctx.Done():
			return false
		}
	}
	if !known {
		var ok bool
		if entries, ok = w.read(ctx, place{seq: w.at}); !ok {
			return false
		}
		if len(entries) == 0 { // the server that was asked is behind
			return wait.For(ctx, behindFor)
		}
	}
	return w.show(ctx, entries)
}

// read reads from the stream until that answers.
func (w *watcher) read(ctx context.Context, at place) ([]entry, bool) {
	for {
		entries, err := w.s.read(ctx, w.l, at)
		if err == nil {
			return entries, true
		}
		if ctx.Err() != nil {
			return nil, false
		}
		w.s.log.Warn("cannot read events for somebody who watches; trying again", "error", err)
		if !wait.For(ctx, refollow) {
			return nil, false
		}
	}
}

// show hands out what is chosen, and says when there is a gap before it.
func (w *watcher) show(ctx context.Context, entries []entry) bool {
	if lost := entries[0].seq - min(w.at, entries[0].seq); lost > 0 {
		w.s.metrics.lost.Add(float64(lost))
		if !w.tell(ctx, fleet.EventStep{Lost: lost}) {
			return false
		}
	}
	for _, e := range entries {
		if e.ok && w.glob.match(e.event.Name) && !w.tell(ctx, fleet.EventStep{Event: &e.event}) {
			return false
		}
		w.at = e.seq + 1
	}
	return true
}

func (w *watcher) tell(ctx context.Context, step fleet.EventStep) bool {
	select {
	case w.out <- step:
		return true
	case <-ctx.Done():
		return false
	}
}
