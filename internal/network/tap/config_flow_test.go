package tap

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/packet/packettest"
	"github.com/rind-project/rind/internal/network/pipeline"
)

// TestDefaultFlow: what the configuration says by default is what the flow table
// does by default.
func TestDefaultFlow(t *testing.T) {
	t.Parallel()
	var got pipeline.Config
	defaultFlow().into(&got, 1)
	if got.Timeouts != flow.DefaultTimeouts() || got.Fragments != flow.DefaultFragmentLimits() || got.MaxFlows != 262_144 {
		t.Errorf("%+v", got)
	}
	f := Flow{MaxFlows: 4000, Seed: 7, Timeouts: Timeouts{1, 2, 3, 4, 5}, Fragments: Fragments{6, 7, 8}}
	f.into(&got, 2)
	want := pipeline.Config{MaxFlows: 2000, Seed: 7, Timeouts: flow.Timeouts{TCP: 1, Closed: 2, UDP: 3, Other: 4, Active: 5}, Fragments: flow.FragmentLimits{Datagrams: 6, Bytes: 7, Wait: 8}}
	if got.MaxFlows != want.MaxFlows || got.Seed != want.Seed || got.Timeouts != want.Timeouts || got.Fragments != want.Fragments {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestFragments sends a datagram in parts, one whose parts contradict one
// another, and more that never become whole than may wait: the limits of the
// configuration hold, and status and metrics tell what became of them.
func TestFragments(t *testing.T) {
	t.Parallel()
	var frames []packettest.Timed
	send := func(b []byte) { frames = append(frames, packettest.Timed{Data: b}) }
	parts := func(id uint32) [][]byte {
		b := packettest.Frame{Src: netip.MustParseAddrPort("10.2.0.1:1111"), Dst: netip.MustParseAddrPort("10.2.0.2:53"),
			Proto: 17, Payload: append(packettest.Query(uint16(id), "in.parts.example.com", 1), make([]byte, 100)...)}.Bytes()
		return packettest.Fragments(b, 64, id)
	}
	for _, b := range parts(1) {
		send(b)
	}
	overlap := parts(2)
	send(overlap[0])
	other := append([]byte(nil), overlap[0]...)
	other[len(other)-1]++
	send(other)
	send(overlap[1]) // of a datagram that was refused
	for id := uint32(10); id < 110; id++ {
		send(parts(id)[0])
	}
	cfg := testConfig(t)
	cfg.Interfaces = Named("a")
	cfg.Flow.Fragments.MaxDatagrams = 4
	reg := prometheus.NewRegistry()
	tap := New(cfg, Deps{Metrics: reg, Sources: one(func(string) (capture.Source, error) {
		return &fakeSource{name: "a", frames: frames, given: new(int)}, nil
	})})
	if err := tap.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var f FragmentStatus
	eventually(t, "all fragments are counted", func() bool {
		if s := tap.Status(); len(s.Interfaces) > 0 {
			f = s.Interfaces[0].Fragments
		}
		return f.Seen == uint64(len(frames))
	})
	if f.Whole != 1 || f.Overlaps != 1 || f.Skipped != 1 || f.GivenUp < 100-4 || f.GivenUp > 100 || f.HeldBytes == 0 || f.HeldBytes > 4*4096 {
		t.Errorf("%+v", f)
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP rind_tap_fragment_bytes Memory for IP fragments that wait for the others of their datagram, by interface, at the last report.
# TYPE rind_tap_fragment_bytes gauge
rind_tap_fragment_bytes{interface="a",worker="0"} 16384
`), "rind_tap_fragment_bytes"); err != nil {
		t.Error(err)
	}
	if err := tap.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestTimeouts: a flow ends when the configuration says so.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	cfg := testConfig(t, node.URL)
	cfg.Interfaces = Named("a")
	cfg.Flow.Timeouts.UDP = time.Second
	b := packettest.Frame{Src: netip.MustParseAddrPort("10.2.0.1:1111"), Dst: netip.MustParseAddrPort("10.2.0.2:2222"), Proto: 17, Payload: []byte("x")}.Bytes()
	statusOf(t, cfg, &fakeSource{name: "a", frames: []packettest.Timed{{Data: b}}, given: new(int)}, "the flow is gone", func(s Status) bool {
		return s.Interfaces[0].Received == 1 && s.Interfaces[0].FlowsActive == 0
	})
}
