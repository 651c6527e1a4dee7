package target

import (
	"context"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/target/posting"
)

// Subset is a part of the peels of an index, which answers about them alone: of
// all peels that are known, those that are enrolled. It holds no facts itself.
type Subset struct {
	index *Index
	in    posting.Bits
	n     int
}

// Subset makes a part that nobody is in yet. It lives as long as the index.
func (x *Index) Subset() *Subset {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := &Subset{index: x}
	x.subsets = append(x.subsets, s)
	return s
}

// Add puts a peel of the index into the part. Removing it from the index takes
// it out.
func (s *Subset) Add(id fleet.PeelID) {
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	if num, known := s.index.nums[id]; known && !s.in.Has(num) {
		s.in = s.in.Grow(len(s.index.ids))
		s.in.Add(num)
		s.n++
	}
}

// Remove takes a peel out of the part. It stays in the index.
func (s *Subset) Remove(id fleet.PeelID) {
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	if num, known := s.index.nums[id]; known {
		s.drop(num)
	}
}

func (s *Subset) drop(num uint32) {
	if s.in.Has(num) {
		s.in.Del(num)
		s.n--
	}
}

// Has reports whether a peel is in the part.
func (s *Subset) Has(id fleet.PeelID) bool {
	s.index.mu.RLock()
	defer s.index.mu.RUnlock()
	num, known := s.index.nums[id]
	return known && s.in.Has(num)
}

// Len returns how many peels are in the part.
func (s *Subset) Len() int {
	s.index.mu.RLock()
	defer s.index.mu.RUnlock()
	return s.n
}

// Select is Index.Select among the peels of the part.
func (s *Subset) Select(e *Expr, after fleet.PeelID, limit int) []fleet.PeelID {
	ids, _, err := s.Query(context.Background(), e, after, limit)
	if err != nil {
		return nil
	}
	return ids
}

// Query is Index.Query among the peels of the part.
func (s *Subset) Query(ctx context.Context, e *Expr, after fleet.PeelID, limit int) (ids []fleet.PeelID, total int, err error) {
	return s.index.query(ctx, s, e, after, limit)
}

// Test is Index.Test among the peels of the part.
func (s *Subset) Test(ctx context.Context, e *Expr, after fleet.PeelID, limit int) (fleet.TargetTest, error) {
	return s.index.test(ctx, s, e, after, limit)
}
