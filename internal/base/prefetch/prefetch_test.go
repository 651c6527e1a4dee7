package prefetch_test

import (
	"slices"
	"testing"
	"unsafe"

	"github.com/rind-project/rind/internal/base/prefetch"
)

// TestEachTouchesNothing asks for memory that is there, and for some that is
// nobody's, which would be a fault if it were read.
func TestEachTouchesNothing(t *testing.T) {
	t.Parallel()
	have := make([]uint64, 1000)
	for i := range have {
		have[i] = uint64(i)
	}
	want := slices.Clone(have)
	at := []uintptr{uintptr(unsafe.Pointer(&have[0])), 0, uintptr(unsafe.Pointer(&have[999])), 8, ^uintptr(0)}
	asked := slices.Clone(at)
	for lines := range 5 {
		for n := range len(at) + 1 {
			prefetch.Each(at[:n], lines)
		}
	}
	prefetch.Each(nil, 1)
	if !slices.Equal(have, want) || !slices.Equal(at, asked) {
		t.Error("what was asked for changed")
	}
}
