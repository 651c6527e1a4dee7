package holder

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
)

// Bounds of what is in memory.
const (
	maxHeld = 256 << 20 // bytes of values; what is over it is read from the bucket
	maxSeen = 256       // names of a peel with those that it removed a while ago
)

// item is a value that a peel shares, or a name that it shared.
type item struct {
	value      []byte // nil when it is in the bucket only
	size       int
	configured bool
	gone       bool // removed; the mark in the bucket is not cleared yet
	revision   uint64
	updated    time.Time
}

// shelf holds what the bucket has. Only the watch over the bucket puts things
// there.
type shelf struct {
	mu     sync.RWMutex
	peels  map[fleet.PeelID]map[string]item
	claims map[*claim]bool
	held   int
	seen   uint64        // revision of the bucket up to which everything is here
	news   chan struct{} // closed when seen grows, and replaced
}

// claim is the place for a value that is on its way into the bucket.
type claim struct {
	id   fleet.PeelID
	name string
	size int
}

func newShelf() *shelf {
	return &shelf{peels: map[fleet.PeelID]map[string]item{}, claims: map[*claim]bool{}, news: make(chan struct{})}
}

// apply puts what an entry of the bucket says onto the shelf.
func (s *shelf) apply(id fleet.PeelID, name string, it item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id != "" {
		names := s.peels[id]
		if names == nil {
			names = map[string]item{}
			s.peels[id] = names
		}
		s.held -= len(names[name].value)
		if s.held+len(it.value) > maxHeld {
			it.value = nil
		}
		s.held += len(it.value)
		names[name] = it
	}
	s.advance(it.revision)
}

func (s *shelf) advance(revision uint64) {
	s.seen = max(s.seen, revision)
	close(s.news)
	s.news = make(chan struct{})
}

// replace takes the place of what was there by what another shelf has.
func (s *shelf) replace(with *shelf) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peels, s.held = with.peels, with.held
	s.advance(with.seen)
}

// await waits until something is there, which is looked for under the lock.
func (s *shelf) await(ctx context.Context, there func() bool) {
	for {
		s.mu.RLock()
		done, news := there(), s.news
		s.mu.RUnlock()
		if done {
			return
		}
		select {
		case <-news:
		case <-ctx.Done():
			return
		}
	}
}

// claim takes a place for a value, or says which limit of the peel is in the
// way. The caller gives the place back when the value is on the shelf.
func (s *shelf) claim(id fleet.PeelID, name string, size int) (*claim, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sizes, known := map[string]int{name: size}, 0
	for n, it := range s.peels[id] {
		known++
		if !it.gone && n != name {
			sizes[n] = it.size
		}
	}
	for c := range s.claims {
		if c.id == id {
			sizes[c.name] = max(sizes[c.name], c.size)
		}
	}
	if len(sizes) > fleet.MaxBasketNames {
		return nil, errs.New(errs.TooLarge, "this peel shares %d values already, which is the limit; remove one first", fleet.MaxBasketNames)
	}
	if _, has := s.peels[id][name]; !has && known >= maxSeen {
		return nil, errs.New(errs.RateLimited, "this peel has removed so many names that no new one is taken for %s", markAge)
	}
	sum := 0
	for _, n := range sizes {
		sum += n
	}
	if sum > fleet.MaxBasketBytes {
		return nil, errs.New(errs.TooLarge, "the values of this peel would have %d bytes together, at most %d are kept", sum, fleet.MaxBasketBytes)
	}
	c := &claim{id, name, size}
	s.claims[c] = true
	return c, nil
}

func (s *shelf) release(c *claim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.claims, c)
}

// get returns what a peel shares under a name.
func (s *shelf) get(id fleet.PeelID, name string) (item, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	it, ok := s.peels[id][name]
	return it, ok && !it.gone
}

// named is an item with its name.
type named struct {
	name string
	item
}

// of returns all that a peel shares, sorted by name.
func (s *shelf) of(id fleet.PeelID) []named {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []named
	for n, it := range s.peels[id] {
		if !it.gone {
			out = append(out, named{n, it})
		}
	}
	slices.SortFunc(out, func(a, b named) int { return strings.Compare(a.name, b.name) })
	return out
}

// count returns how many peels share something, and how many values.
func (s *shelf) count() (peels, values int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, names := range s.peels {
		n := 0
		for _, it := range names {
			if !it.gone {
				n++
			}
		}
		values += n
		peels += min(n, 1)
	}
	return peels, values
}

// mark is what the bucket keeps of a removed value, so that every watch over
// it learns of the removal.
type mark struct {
	id       fleet.PeelID
	name     string
	revision uint64
}

// marks returns those that are older than a moment.
func (s *shelf) marks(before time.Time) []mark {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []mark
	for id, names := range s.peels {
		for n, it := range names {
			if it.gone && it.updated.Before(before) {
				out = append(out, mark{id, n, it.revision})
			}
		}
	}
	return out
}

// clear forgets a mark that the bucket has no more.
func (s *shelf) clear(m mark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if it := s.peels[m.id][m.name]; it.gone && it.revision == m.revision {
		delete(s.peels[m.id], m.name)
		if len(s.peels[m.id]) == 0 {
			delete(s.peels, m.id)
		}
	}
}
