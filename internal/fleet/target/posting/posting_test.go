package posting_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/fleet/target/posting"
)

// TestSetAgainstAMap grows and shrinks a set through all of its forms.
func TestSetAgainstAMap(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var s posting.Set
	want := map[uint32]bool{}
	for _, phase := range []struct {
		rounds, space int
		add           float64
	}{{300, 100_000, 0.9}, {300, 100_000, 0.1}, {20_000, 8000, 0.8}, {20_000, 8000, 0.1}, {30, 40, 0}, {8000, 8000, 0}} {
		for range phase.rounds {
			n := uint32(r.IntN(phase.space))
			if r.Float64() < phase.add {
				s.Add(n)
				want[n] = true
			} else {
				s.Del(n)
				delete(want, n)
			}
			if s.Has(n) != want[n] || s.Len() != len(want) {
				t.Fatalf("after %d: has %v, want %v; %d numbers, want %d", n, s.Has(n), want[n], s.Len(), len(want))
			}
		}
		b := posting.NewBits(100_000)
		s.AddTo(b)
		keys := make([]uint32, 0, len(want))
		for n := range want {
			keys = append(keys, n)
		}
		slices.Sort(keys)
		if diff := cmp.Diff(keys, append([]uint32{}, slices.Collect(b.All)...)); diff != "" {
			t.Fatal(diff)
		}
		if b.Count() != len(want) || b.Empty() != (len(want) == 0) {
			t.Errorf("%d numbers, empty %v; want %d", b.Count(), b.Empty(), len(want))
		}
		if s.DelFrom(b); !b.Empty() {
			t.Errorf("%d numbers are left", b.Count())
		}
	}
}

func TestBits(t *testing.T) {
	t.Parallel()
	of := func(size int, all ...uint32) posting.Bits {
		b := posting.NewBits(size)
		for _, n := range all {
			b.Add(n)
		}
		return b
	}
	tests := map[string]struct {
		got  posting.Bits
		do   func(a, b posting.Bits)
		want []uint32
	}{
		"and":     {of(200, 1, 64, 150), posting.Bits.And, []uint32{1}},
		"or":      {of(200, 1, 150), posting.Bits.Or, []uint32{1, 2, 150}},
		"and not": {of(200, 1, 2, 150), posting.Bits.AndNot, []uint32{150}},
	}
	for name, tt := range tests {
		tt.do(tt.got, of(64, 1, 2))
		if diff := cmp.Diff(tt.want, slices.Collect(tt.got.All)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if b := of(10, 3).Grow(1000); !b.Has(3) || b.Has(999) || of(10).Has(5000) {
		t.Error("growing")
	}
}

func TestDict(t *testing.T) {
	t.Parallel()
	d := posting.NewDict()
	if _, ok := d.Find("x"); ok {
		t.Error("found in nothing")
	}
	for round := range 2 {
		for n := range uint32(5000) {
			if got := d.Add(fmt.Sprintf("text %d", n)); got != n {
				t.Fatalf("round %d: %d, want %d", round, got, n)
			}
		}
	}
	if n, ok := d.Find("text 4711"); !ok || n != 4711 || d.Len() != 5000 || d.Text(42) != "text 42" || len(d.Texts()) != 5000 {
		t.Errorf("%d, %v", n, ok)
	}
	if _, ok := d.Find("text 5000"); ok {
		t.Error("found what is not there")
	}
}
