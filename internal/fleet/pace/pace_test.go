package pace

import (
	"fmt"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/fleet"
)

func TestPace(t *testing.T) {
	t.Parallel()
	p, now := New(2, 3), time.Now()
	count := func(id fleet.PeelID, at time.Time) (n int) {
		for range 10 {
			if p.Allow(id, at) {
				n++
			}
		}
		return n
	}
	if n := count("a", now); n != 3 {
		t.Errorf("%d at once", n)
	}
	if n := count("b", now); n != 3 {
		t.Errorf("one peel takes from another: %d", n)
	}
	if n := count("a", now.Add(time.Second)); n != 2 {
		t.Errorf("%d a second later", n)
	}
}

// TestForgets: what is remembered is bounded, and who is at the limit is
// forgotten last.
func TestForgets(t *testing.T) {
	t.Parallel()
	p, now := New(1, 1), time.Now()
	for n := range maxPeels - 1 {
		p.Allow(fleet.PeelID(fmt.Sprintf("p%d", n)), now.Add(-time.Hour))
	}
	p.Allow("greedy", now)
	if p.Allow("another", now); len(p.by) != 2 {
		t.Errorf("%d are remembered", len(p.by))
	}
	if p.Allow("greedy", now) {
		t.Error("the greedy one is forgotten")
	}
}
