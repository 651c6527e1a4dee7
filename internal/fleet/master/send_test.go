package master

import (
	"testing"
	"time"
)

func TestPatienceGrowsWithThePeels(t *testing.T) {
	t.Parallel()
	for peels, want := range map[int]time.Duration{
		1: 0, 9_999: 0, 10_000: 6 * time.Second, 30_000: 8 * time.Second, 100_000: 15 * time.Second, 1_000_000: 15 * time.Second,
	} {
		if got := patienceOf(peels); got != want {
			t.Errorf("%d peels wait for %s, want %s", peels, got, want)
		}
	}
}
