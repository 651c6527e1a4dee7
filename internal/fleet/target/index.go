package target

import (
	"slices"
	"strings"
	"sync"

	"github.com/rind-project/rind/internal/fleet"
)

// Index holds the peels that can be targeted and answers who matches. It is
// safe for concurrent use.
type Index struct {
	mu     sync.RWMutex
	peels  map[fleet.PeelID]*fleet.Facts
	sorted []fleet.PeelID // nil when it has to be made again
}

// NewIndex makes an empty index.
func NewIndex() *Index { return &Index{peels: map[fleet.PeelID]*fleet.Facts{}} }

// Put adds a peel, or replaces its facts, which may be nil.
func (x *Index) Put(id fleet.PeelID, f *fleet.Facts) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, known := x.peels[id]; !known {
		x.sorted = nil
	}
	x.peels[id] = f
}

// Remove takes a peel out.
func (x *Index) Remove(id fleet.PeelID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, known := x.peels[id]; known {
		delete(x.peels, id)
		x.sorted = nil
	}
}

// Len returns how many peels there are.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.peels)
}

// Facts returns what is known of a peel, and whether it is in the index.
func (x *Index) Facts(id fleet.PeelID) (*fleet.Facts, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	f, ok := x.peels[id]
	return f, ok
}

// Select returns the peels that match, sorted, at most limit of them behind
// the id after. A limit of zero or less is none.
func (x *Index) Select(e *Expr, after fleet.PeelID, limit int) []fleet.PeelID {
	ids := x.ids()
	prefix := e.m.prefix()
	from, found := slices.BinarySearch(ids, max(after, fleet.PeelID(prefix)))
	if found && ids[from] == after {
		from++
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	var out []fleet.PeelID
	for _, id := range ids[from:] {
		if !strings.HasPrefix(string(id), prefix) || limit > 0 && len(out) == limit {
			break
		}
		if f, ok := x.peels[id]; ok && e.Match(id, f) {
			out = append(out, id)
		}
	}
	return out
}

// ids returns the sorted list, which is never changed once it is made.
func (x *Index) ids() []fleet.PeelID {
	x.mu.RLock()
	ids := x.sorted
	x.mu.RUnlock()
	if ids != nil {
		return ids
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.sorted == nil {
		x.sorted = make([]fleet.PeelID, 0, len(x.peels))
		for id := range x.peels {
			x.sorted = append(x.sorted, id)
		}
		slices.Sort(x.sorted)
	}
	return x.sorted
}
