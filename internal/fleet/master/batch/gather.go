package batch

import (
	"cmp"
	"time"

	"github.com/rind-project/rind/internal/fleet/bus"
)

// Bounds of a batch. It has a price of its own: few values go one by one.
const (
	leastBatch = 16
	mostBatch  = 1000                   // the broker's limit
	holdFew    = 2 * time.Millisecond   // without a further value, then they are written
	holdMany   = 150 * time.Millisecond // the same, when a fleet is answering
	holdValues = 1 << 17
	holdBytes  = 64 << 20
)

// gather takes what waits and what comes right behind it. While a fleet
// answers, counting the answers has precedence over storing and acknowledging
// them, which costs as much again and which nobody watches. Of two values for
// one key, which a peel sends when it has waited for an answer, the later one
// counts, or the first where a key is written once.
func (w *Writer) gather(first *Value) []*Value {
	g := gathering{by: map[string]*Value{}, latest: &w.latest, hold: w.cfg.Hold}
	g.add(first)
	most := time.NewTimer(time.Until(g.due))
	defer most.Stop()
	quiet := time.NewTimer(holdFew)
	defer quiet.Stop()
	for len(g.all) < holdValues && g.size < holdBytes {
		select {
		case next := <-w.queue:
			if g.add(w.out(next)) {
				most.Reset(time.Until(g.due))
			}
			continue
		default:
		}
		quiet.Reset(g.patience())
		select {
		case next := <-w.queue:
			if g.add(w.out(next)) {
				most.Reset(time.Until(g.due))
			}
		case <-quiet.C:
			return g.all
		case <-most.C:
			return g.all
		case <-w.ending:
			return g.all
		}
	}
	return g.all
}

// gathering is what is to be written next.
type gathering struct {
	all    []*Value
	by     map[string]*Value
	size   int
	due    time.Time     // when it is to be written at the latest
	hold   time.Duration // of a value that says nothing itself
	latest *latest
}

// patience is how long to wait for more.
func (g *gathering) patience() time.Duration {
	if len(g.all) < leastBatch {
		return holdFew
	}
	return holdMany
}

// add takes a value, and reports whether it is to be written earlier than
// those before.
func (g *gathering) add(next *Value) (earlier bool) {
	if next.Once && g.latest.has(next.Key) {
		next.each(bus.Accept) // the peel has asked again before the answer came
		return false
	}
	had := g.by[next.Key]
	if had == nil {
		g.by[next.Key] = next
		g.all = append(g.all, next)
		g.size += len(next.Msg.Data)
		due := time.Now().Add(cmp.Or(next.Hold, g.hold))
		if earlier = g.due.IsZero() || due.Before(g.due); earlier {
			g.due = due
		}
		return earlier
	}
	if !next.Once {
		had.Msg, next.Msg = next.Msg, had.Msg
	}
	had.same = append(had.same, next.Msg)
	return false
}
