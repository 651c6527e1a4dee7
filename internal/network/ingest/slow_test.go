package ingest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestBadTokensAreSlowedDown shows that a thousand bad tokens are answered at
// once, then each connection's after a pause, and that the budget comes back.
func TestBadTokensAreSlowedDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSlowness(time.Now)
		began := time.Now()
		for range refusedBurst {
			s.wait(t.Context())
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the first ones took %s", took)
		}
		s.wait(t.Context())
		if took := time.Since(began); took < refusedPause/2 || took > 2*refusedPause {
			t.Errorf("the next one took %s", took)
		}
		time.Sleep(time.Minute)
		began = time.Now()
		for range refusedBurst {
			s.wait(t.Context())
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		s.wait(gone)
		if took := time.Since(began); took != 0 {
			t.Errorf("a minute later, and for one that is gone, it took %s", took)
		}
		if s.held != 0 {
			t.Errorf("%d are held", s.held)
		}
		s.held = refusedHeld
		if s.hold() {
			t.Error("more are held than may be")
		}
	})
}
