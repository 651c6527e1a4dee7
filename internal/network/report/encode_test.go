package report

import (
	"bytes"
	"slices"
	"testing"

	"github.com/rind-project/rind/internal/network"
)

// TestReuse encodes into the memory of a report before, a longer and a shorter
// one: it says what a new encoder says.
func TestReuse(t *testing.T) {
	t.Parallel()
	e, err := NewEncoder()
	if err != nil {
		t.Fatal(err)
	}
	for _, flows := range []int{300, 1, 0, 5000, 20} {
		r := network.Report{Identity: network.Identity{Tap: "t", Boot: "b", Sequence: 1}, Flows: make([]network.Flow, flows)}
		for i := range r.Flows {
			r.Flows[i].SrcPkts, r.Flows[i].DstPort = uint64(i*i), uint16(i)
		}
		other, err := NewEncoder()
		if err != nil {
			t.Fatal(err)
		}
		want, err := other.Encode(&r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Encode(&r)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d flows are %d bytes, want %d (%v)", flows, len(got), len(want), err)
		}
		again, err := e.Encode(&r) // not reused: it is another memory
		if err != nil || len(again) > 0 && &again[0] == &got[0] || !slices.Equal(again, got) {
			t.Errorf("%d flows for the second time: %v", flows, err)
		}
		e.Reuse(got)
	}
}
