package report

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rind-project/rind/internal/network"
)

// TestState takes a tap's state through the wire form, negative skew included,
// and what lies out of range is cut by who writes and refused by who reads.
func TestState(t *testing.T) {
	t.Parallel()
	through := func(h network.Health) network.Health {
		t.Helper()
		encoder, err := NewEncoder()
		if err != nil {
			t.Fatal(err)
		}
		b, err := encoder.Encode(&network.Report{Identity: network.Identity{Tap: "t", Boot: "b", Sequence: 1}, Health: h})
		if err != nil {
			t.Fatal(err)
		}
		r, err := Decode(b, DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		return r.Health
	}
	want := network.Health{RingUsed: 3 << 20, RingFull: 7, SpoolAge: 90 * time.Second, ClockSkew: -1500 * time.Microsecond}
	if diff := cmp.Diff(want, through(want)); diff != "" {
		t.Errorf("the state differs (-want +got):\n%s", diff)
	}
	if got := through(network.Health{SpoolAge: -time.Second, ClockSkew: 1<<63 - 1}); got.SpoolAge != 0 || got.ClockSkew != maxLong*time.Microsecond {
		t.Errorf("out of range: %+v", got)
	}
	for n, v := range map[protowire.Number]uint64{fieldSpoolAge: maxLong + 1, fieldClockSkew: protowire.EncodeZigZag(-maxLong - 1)} {
		if err := state(new(network.Health), n, v); err == nil {
			t.Errorf("field %d takes %d", n, v)
		}
	}
}
