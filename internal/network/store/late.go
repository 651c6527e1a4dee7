package store

import (
	"context"
	"sync"
	"time"
)

// What was summed is summed again for late rows once in a minute at most, and
// takes no more than a tenth of the time: when spools empty after an outage,
// there are late rows of the same minutes and hours for as long as that lasts,
// and the database has better things to do.
const (
	lateEvery = time.Minute
	lateShare = 10
)

// lateSums says when late rows may be summed next.
type lateSums struct {
	mu   sync.Mutex
	next time.Time
}

// Sum makes all sums that are due, the oldest first. Those of times that got
// late rows keep to their pace; their marks stay until they are made.
func (s *Store) Sum(ctx context.Context, fence Fence) error {
	s.late.mu.Lock()
	defer s.late.mu.Unlock()
	began := s.now()
	again, err := s.sum(ctx, fence, !began.Before(s.late.next))
	if again > 0 {
		end := s.now()
		s.late.next = end.Add(max(lateEvery, lateShare*end.Sub(began)))
	}
	return err
}
