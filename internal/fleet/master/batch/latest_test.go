package batch

import (
	"strconv"
	"testing"
)

// TestLatestForgets: the newest keys are known, and their number is bounded.
func TestLatestForgets(t *testing.T) {
	t.Parallel()
	var l latest
	if l.has("0") {
		t.Error("nothing was put, and 0 is known")
	}
	for i := range 5 * mostLatest {
		l.put(strconv.Itoa(i))
	}
	for _, i := range []int{5*mostLatest - 1, 4 * mostLatest} {
		if !l.has(strconv.Itoa(i)) {
			t.Errorf("%d was put lately, and is not known", i)
		}
	}
	if n := len(l.now) + len(l.before); l.has("0") || n > 2*mostLatest {
		t.Errorf("%d keys are kept", n)
	}
}
