package ingest

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// Bad tokens beyond so many a second are answered after a pause, so that who
// tries them over kept connections, one after the other, takes hardly any of
// the CPU that good taps need. So many pauses there are at once at most; they
// cost a goroutine each.
const (
	refusedBurst  = 1000
	refusedPerSec = 200
	refusedPause  = time.Second
	refusedHeld   = 4096
)

// slowness is what is left of the refusals that are given at once.
type slowness struct {
	now func() time.Time

	mu     sync.Mutex
	budget float64
	filled time.Time
	held   int
}

func newSlowness(now func() time.Time) *slowness {
	return &slowness{now: now, budget: refusedBurst, filled: now()}
}

// wait returns when a bad token may be answered.
func (s *slowness) wait(ctx context.Context) {
	if !s.hold() {
		return
	}
	// Not all at the same moment: that would be as bad as no pause.
	pause := time.NewTimer(refusedPause/2 + rand.N(refusedPause))
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held--
}

// hold says whether an answer is to be held back, and counts it then.
func (s *slowness) hold() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if past := now.Sub(s.filled).Seconds(); past > 0 {
		s.budget, s.filled = min(s.budget+past*refusedPerSec, refusedBurst), now
	}
	if s.budget >= 1 {
		s.budget--
		return false
	}
	if s.held >= refusedHeld {
		return false
	}
	s.held++
	return true
}
