package flow_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/packet"
)

// tcp is one segment of a connection from 10.0.0.1:40000 to 10.0.0.2:443.
type tcp struct {
	at     float64 // milliseconds
	up     bool
	flags  uint8
	seq    uint32
	n      int // bytes of payload
	window uint16
}

func (s tcp) packet() *packet.Packet {
	p := &packet.Packet{
		Time: 1_000_000_000 + int64(s.at*1e6), WireLen: uint32(54 + s.n), Version: 4, Proto: 6, TTL: 64, HasPorts: true, Whole: true,
		Src: packet.Addr{Lo: 0xffff_0a00_0001}, Dst: packet.Addr{Lo: 0xffff_0a00_0002}, SrcPort: 40000, DstPort: 443,
		TCPFlags: s.flags, Seq: s.seq, Window: s.window, PayloadOnNet: s.n,
	}
	if !s.up {
		p.Src, p.Dst, p.SrcPort, p.DstPort, p.TTL = p.Dst, p.Src, p.DstPort, p.SrcPort, 55
	}
	return p
}

func TestSegments(t *testing.T) {
	t.Parallel()
	const up, down, w = true, false, 500
	open := []tcp{{0, up, syn, 99, 0, w}, {20, down, syn | ack, 199, 0, w}, {21, up, ack, 100, 0, w}}
	then := func(more ...tcp) []tcp { return append(open[:3:3], more...) }
	type counts struct{ SrcRetrans, DstRetrans, SrcZero, DstZero uint32 }
	for name, c := range map[string]struct {
		segs []tcp
		want counts
	}{
		"in order":               {then(tcp{22, up, ack, 100, 10, w}, tcp{23, up, ack, 110, 10, w}, tcp{24, down, ack, 200, 5, w}), counts{}},
		"again":                  {then(tcp{22, up, ack, 100, 10, w}, tcp{90, up, ack, 100, 10, w}), counts{SrcRetrans: 1}},
		"again, other way":       {then(tcp{22, down, ack, 200, 10, w}, tcp{90, down, ack, 200, 10, w}), counts{DstRetrans: 1}},
		"again and more":         {then(tcp{22, up, ack, 100, 10, w}, tcp{90, up, ack, 100, 20, w}, tcp{91, up, ack, 120, 1, w}), counts{SrcRetrans: 1}},
		"syn again":              {[]tcp{open[0], {1000, up, syn, 99, 0, w}}, counts{SrcRetrans: 1}},
		"syn-ack again":          {[]tcp{open[0], open[1], {1000, down, syn | ack, 199, 0, w}}, counts{DstRetrans: 1}},
		"fin again":              {then(tcp{22, up, ack | fin, 100, 0, w}, tcp{90, up, ack | fin, 100, 0, w}), counts{SrcRetrans: 1}},
		"overtaken":              {then(tcp{22, up, ack, 110, 10, w}, tcp{23, up, ack, 100, 10, w}), counts{}},
		"overtaken twice":        {then(tcp{22, up, ack, 120, 10, w}, tcp{23, up, ack, 100, 10, w}, tcp{24, up, ack, 110, 10, w}), counts{}},
		"overtaken, then again":  {then(tcp{22, up, ack, 110, 10, w}, tcp{23, up, ack, 100, 10, w}, tcp{24, up, ack, 100, 10, w}), counts{SrcRetrans: 1}},
		"lost before the tap":    {then(tcp{22, up, ack, 110, 10, w}, tcp{60, up, ack, 100, 10, w}), counts{SrcRetrans: 1}},
		"acknowledgements":       {then(tcp{22, up, ack, 100, 0, w}, tcp{23, up, ack, 100, 0, w}), counts{}},
		"late acknowledgement":   {then(tcp{22, up, ack, 100, 10, w}, tcp{23, up, ack, 100, 0, w}), counts{}},
		"keep-alive":             {then(tcp{22, up, ack, 99, 1, w}, tcp{23, up, ack, 99, 0, w}), counts{}},
		"numbers that wrap":      {[]tcp{{0, up, ack, 0xffff_fff0, 16, w}, {1, up, ack, 0, 16, w}, {2, up, ack, 16, 1, w}, {90, up, ack, 0xffff_fff0, 16, w}}, counts{SrcRetrans: 1}},
		"windows of zero":        {then(tcp{22, down, ack, 200, 0, 0}, tcp{23, down, ack, 200, 0, 0}, tcp{24, up, ack, 100, 0, 0}), counts{SrcZero: 1, DstZero: 2}},
		"window of a reset":      {then(tcp{22, down, rst, 200, 0, 0}), counts{}},
		"seen from the middle":   {[]tcp{{0, down, ack, 5000, 100, w}, {1, down, ack, 5100, 100, w}}, counts{}},
		"reset with an odd hole": {then(tcp{22, up, ack, 100, 10, w}, tcp{23, up, rst, 100, 0, w}), counts{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tb := flow.New(flow.Config{})
			for _, s := range c.segs {
				tb.Add(s.packet())
			}
			f := finish(tb)[0]
			got := counts{f.SrcRetrans, f.DstRetrans, f.SrcZeroWin, f.DstZeroWin}
			if f.Source != netip.MustParseAddr("10.0.0.1") {
				got = counts{f.DstRetrans, f.SrcRetrans, f.DstZeroWin, f.SrcZeroWin}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	s := tcp{0, true, syn, 99, 0, 9}
	a := tcp{20, false, syn | ack, 199, 0, 9}
	k := tcp{21.5, true, ack, 100, 0, 9}
	for name, c := range map[string]struct {
		segs           []tcp
		client, server time.Duration
	}{
		"both halves":          {[]tcp{s, a, k}, 1500 * time.Microsecond, 20 * time.Millisecond},
		"no syn":               {[]tcp{a, k}, 1500 * time.Microsecond, 0},
		"no answer":            {[]tcp{s, k}, 0, 0},
		"late acknowledgement": {[]tcp{s, a}, 480 * time.Millisecond, 20 * time.Millisecond},
		"syn twice":            {[]tcp{s, {15, true, syn, 99, 0, 9}, a, k}, 1500 * time.Microsecond, 5 * time.Millisecond},
		"syn-ack twice":        {[]tcp{s, {10, false, syn | ack, 199, 0, 9}, a, k}, 1500 * time.Microsecond, 10 * time.Millisecond},
		"at once":              {[]tcp{s, {0, false, syn | ack, 199, 0, 9}, {0, true, ack, 100, 0, 9}}, time.Microsecond, time.Microsecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tb := flow.New(flow.Config{})
			for _, s := range c.segs {
				tb.Add(s.packet())
			}
			tb.Add(tcp{500, true, ack, 100, 10, 9}.packet()) // long after
			f := finish(tb)[0]
			server, client := c.server, c.client
			if f.ClientRTT != client || f.ServerRTT != server || f.SrcTTL != 64 || f.DstTTL != 55 && len(c.segs) > 2 {
				t.Errorf("%v and %v, TTLs %d, %d; want %v and %v", f.ClientRTT, f.ServerRTT, f.SrcTTL, f.DstTTL, client, server)
			}
		})
	}
}

// TestFingerprint has SYNs as the systems behind them send them, and others that
// are odd. The form is that of JA4T: window, kinds of options, MSS and window
// scale; the values are worked out by it, and are nobody's published vectors.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	timestamp := "\x08\x0a\x00\x00\x00\x01\x00\x00\x00\x00"
	for want, c := range map[string]struct {
		window  uint16
		options string
	}{
		"64240_2-1-3-1-1-4_1460_8":            {64240, "\x02\x04\x05\xb4\x01\x03\x03\x08\x01\x01\x04\x02"},                          // Windows 10
		"65535_2-1-3-1-1-8-4-0-0_1460_6":      {65535, "\x02\x04\x05\xb4\x01\x03\x03\x06\x01\x01" + timestamp + "\x04\x02\x00\x00"}, // macOS, iOS
		"29200_2-4-8-1-3_1424_7":              {29200, "\x02\x04\x05\x90\x04\x02" + timestamp + "\x01\x03\x03\x07"},                 // Linux
		"1024_2_1460_00":                      {1024, "\x02\x04\x05\xb4"},                                                           // Nmap
		"512_00_00_00":                        {512, ""},
		"7_2-200_00_00":                       {7, "\x02\x03\x01\xc8\x09\x01"}, // odd lengths
		"9_1-1-1-1-1-1-1-1-1-1-1-1-1-1_00_00": {9, "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"},
	} {
		tb := flow.New(flow.Config{})
		p := tcp{flags: syn, up: true, window: c.window}.packet()
		p.Options = []byte(c.options)
		tb.Add(p)
		tb.Add(tcp{1, false, syn | ack, 0, 0, 777}.packet())
		if f := finish(tb)[0]; f.Fingerprint != want {
			t.Errorf("%q, want %q", f.Fingerprint, want)
		}
	}
}

// TestFingerprintsAreBounded sends more different SYNs than are kept in a
// report, and sees that the next report begins anew.
func TestFingerprintsAreBounded(t *testing.T) {
	t.Parallel()
	tb := flow.New(flow.Config{MaxFlows: 16384})
	for round := range 2 {
		for n := range 6000 {
			p := tcp{flags: syn, up: true, window: uint16(n)}.packet()
			p.Src.Lo += uint64(n+1) << 8
			tb.Add(p)
		}
		seen := map[string]bool{}
		tb.Report(time.Unix(1000*int64(round+1), 0), func(f *network.Flow) { seen[f.Fingerprint] = true })
		if len(seen) != 4096+1 || tb.Stats().Prints != uint64(round+1)*(6000-4096) {
			t.Errorf("%d fingerprints, %d were too many", len(seen), tb.Stats().Prints)
		}
	}
}

// TestActiveTimeout has a flow that never falls silent.
func TestActiveTimeout(t *testing.T) {
	t.Parallel()
	tb := flow.New(flow.Config{Timeouts: flow.Timeouts{Active: 25 * time.Second}})
	ended := 0
	for s := range 100 {
		p := tcp{up: true, flags: ack, seq: uint32(10 * s), n: 10, window: 9, at: float64(s) * 1000}.packet()
		if s == 0 {
			p.TCPFlags = syn
		}
		tb.Add(p)
		if s%10 != 9 {
			continue
		}
		got := report(tb, float64(s)+1.5)
		if len(got) != 1 || got[0].SrcPkts != 10 || got[0].Source.String() != "10.0.0.1" || got[0].SrcTTL != 64 {
			t.Fatalf("after %d s: %+v", s, got)
		}
		if got[0].Ended {
			ended++
		}
	}
	if s := tb.Stats(); ended != 3 || s.Active != 1 {
		t.Errorf("the flow ended %d times, %d are active", ended, s.Active)
	}
}

func TestTunnelsAreDifferentFlows(t *testing.T) {
	t.Parallel()
	tb := flow.New(flow.Config{})
	for _, way := range []struct {
		kind network.Tunnel
		id   uint32
	}{{0, 0}, {network.TunnelVXLAN, 1}, {network.TunnelVXLAN, 2}, {network.TunnelGRE, 1}} {
		for _, up := range []bool{true, false} {
			p := tcp{up: up, flags: ack, window: 1}.packet()
			p.Tunnel, p.TunnelID = way.kind, way.id
			tb.Add(p)
		}
	}
	got := finish(tb)
	if len(got) != 4 {
		t.Fatalf("%d flows", len(got))
	}
	for i, want := range []string{"/0", "vxlan/1", "vxlan/2", "gre/1"} {
		f := got[i]
		if have := f.Tunnel.String() + "/" + string('0'+rune(f.TunnelID)); have != want || f.SrcPkts != 1 || f.DstPkts != 1 {
			t.Errorf("flow %d is %s with %d and %d packets, want %s", i, have, f.SrcPkts, f.DstPkts, want)
		}
	}
}
