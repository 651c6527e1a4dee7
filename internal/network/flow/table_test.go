package flow_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
)

const second = int64(time.Second)

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// decode makes the packet of a frame at a time in seconds.
func decode(t testing.TB, at float64, f packettest.Frame) *packet.Packet {
	t.Helper()
	var d packet.Decoder
	p := &packet.Packet{}
	b := f.Bytes()
	if s := d.Decode(packet.LinkEthernet, b, len(b), p); s != packet.IP {
		t.Fatalf("frame is %v", s)
	}
	p.Time = int64(at * float64(second))
	return p
}

func report(tb *flow.Table, now float64) (out []network.Flow) {
	tb.Report(time.Unix(0, int64(now*float64(second))), func(f *network.Flow) { out = append(out, *f) })
	return out
}

func finish(tb *flow.Table) (out []network.Flow) {
	tb.Finish(func(f *network.Flow) { out = append(out, *f) })
	return out
}

const (
	fin = packet.FIN
	syn = packet.SYN
	rst = packet.RST
	ack = packet.ACK
)

// seg is one TCP segment: up is from client to server.
type seg struct {
	up    bool
	flags uint8
	data  string
}

func TestTCPStateAndDirection(t *testing.T) {
	t.Parallel()
	open := []seg{{true, syn, ""}, {false, syn | ack, ""}, {true, ack, ""}}
	for name, c := range map[string]struct {
		client, server string
		segs           []seg
		state          network.TCPState
		source         string // who is the source; the client when empty
		ended          bool
	}{
		"syn":                      {segs: open[:1], state: network.TCPSynSent},
		"syn and syn-ack":          {segs: open[:2], state: network.TCPSynReceived},
		"handshake":                {segs: open, state: network.TCPEstablished},
		"syn-ack seen first":       {segs: open[1:2], state: network.TCPSynReceived},
		"syn beats ports":          {client: "10.0.0.1:22", server: "10.0.0.2:40000", segs: open, state: network.TCPEstablished},
		"syn late beats ports":     {client: "10.0.0.1:22", server: "10.0.0.2:40000", segs: append([]seg{{false, ack, ""}}, open...), state: network.TCPEstablished},
		"middle, server port":      {segs: []seg{{false, ack, "x"}}, state: network.TCPNone},
		"middle, who spoke first":  {client: "10.0.0.1:40000", server: "10.0.0.2:40001", segs: []seg{{false, ack, "x"}}, source: "10.0.0.2"},
		"middle, data both ways":   {segs: []seg{{false, ack, "x"}, {true, ack, "y"}}, state: network.TCPEstablished},
		"one fin":                  {segs: append(open[:3:3], seg{true, fin | ack, ""}), state: network.TCPClosing},
		"both fins":                {segs: append(open[:3:3], seg{true, fin | ack, ""}, seg{false, fin | ack, ""}, seg{true, ack, ""}), state: network.TCPClosed, ended: true},
		"same fin twice":           {segs: append(open[:3:3], seg{true, fin | ack, ""}, seg{true, fin | ack, ""}), state: network.TCPClosing},
		"rejected":                 {segs: []seg{{true, syn, ""}, {false, rst | ack, ""}}, state: network.TCPRejected, ended: true},
		"reset":                    {segs: append(open[:3:3], seg{false, rst, ""}), state: network.TCPReset, ended: true},
		"reset by the client":      {segs: []seg{{true, syn, ""}, {false, syn | ack, ""}, {true, rst, ""}}, state: network.TCPReset, ended: true},
		"reset after the end":      {segs: append(open[:3:3], seg{true, fin | ack, ""}, seg{false, fin | ack, ""}, seg{true, rst, ""}), state: network.TCPClosed, ended: true},
		"middle of a closing flow": {segs: []seg{{true, fin | ack, ""}, {false, fin | ack, ""}}, state: network.TCPClosed, ended: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.client == "" {
				c.client, c.server = "10.0.0.1:40000", "10.0.0.2:443"
			}
			tb := flow.New(flow.Config{MaxFlows: 1024})
			for i, s := range c.segs {
				f := packettest.Frame{Src: ap(c.client), Dst: ap(c.server), Proto: 6, Flags: s.flags, Payload: []byte(s.data)}
				if !s.up {
					f.Src, f.Dst = f.Dst, f.Src
				}
				tb.Add(decode(t, float64(i), f))
			}
			flows := report(tb, float64(len(c.segs)))
			if len(flows) != 1 {
				t.Fatalf("%d flows", len(flows))
			}
			f := flows[0]
			source := c.source
			if source == "" {
				source = ap(c.client).Addr().String()
			}
			if f.State != c.state || f.Source.String() != source || f.Ended != c.ended {
				t.Errorf("state %v from %v, ended %v; want %v from %v, %v", f.State, f.Source, f.Ended, c.state, source, c.ended)
			}
		})
	}
}

func TestFlowFieldsAndDeltas(t *testing.T) {
	t.Parallel()
	tb := flow.New(flow.Config{})
	up := packettest.Frame{VLANs: []uint16{5, 6}, Src: ap("[2001:db8::9]:40000"), Dst: ap("[2001:db8::1]:443"), Proto: 6, Flags: syn}
	down := up
	down.Src, down.Dst, down.Flags = up.Dst, up.Src, syn|ack
	tb.Add(decode(t, 1, up))
	tb.Add(decode(t, 2, down))
	up.Flags, up.Seq, up.Payload = ack, 1, make([]byte, 100)
	tb.Add(decode(t, 3, up))
	want := network.Flow{
		Start: time.Unix(1, 0).UTC(), End: time.Unix(3, 0).UTC(), Source: up.Src.Addr(), Dest: up.Dst.Addr(),
		SrcPort: 40000, DstPort: 443, Proto: network.TCP, VLAN: 5, InnerVLAN: 6,
		SrcMAC: [6]byte{2, 0, 0, 0, 0, 1}, DstMAC: [6]byte{2, 0, 0, 0, 0, 2},
		SrcPkts: 2, DstPkts: 1, SrcBytes: 82 + 182, DstBytes: 82, SrcFlags: syn | ack, DstFlags: syn | ack,
		State: network.TCPEstablished, App: "tls", SrcTTL: 64, DstTTL: 64,
		ClientRTT: time.Second, ServerRTT: time.Second, Fingerprint: "65535_00_00_00",
	}
	addrs := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff([]network.Flow{want}, report(tb, 10), addrs); diff != "" {
		t.Error(diff)
	}
	if got := report(tb, 20); got != nil {
		t.Errorf("silent flow is reported again: %+v", got)
	}
	down.Flags = ack
	tb.Add(decode(t, 25, down))
	want.Start, want.End = time.Unix(25, 0).UTC(), time.Unix(25, 0).UTC()
	want.SrcPkts, want.SrcBytes, want.DstPkts, want.DstBytes, want.SrcFlags, want.DstFlags = 0, 0, 1, 82, 0, ack
	want.ClientRTT, want.ServerRTT, want.Fingerprint = 0, 0, ""
	if diff := cmp.Diff([]network.Flow{want}, report(tb, 30), addrs); diff != "" {
		t.Error(diff)
	}
	tb.Add(decode(t, 31, down))
	if got := finish(tb); len(got) != 1 || !got[0].Ended || got[0].Source != up.Src.Addr() {
		t.Errorf("at the end: %+v", got)
	}
	if got := finish(tb); got != nil || tb.Stats().Active != 0 {
		t.Errorf("after the end: %+v", got)
	}
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	tcp := func(segs ...seg) []packettest.Frame {
		var out []packettest.Frame
		for _, s := range segs {
			f := packettest.Frame{Src: ap("10.0.0.1:40000"), Dst: ap("10.0.0.2:443"), Proto: 6, Flags: s.flags}
			if !s.up {
				f.Src, f.Dst = f.Dst, f.Src
			}
			out = append(out, f)
		}
		return out
	}
	for name, c := range map[string]struct {
		frames []packettest.Frame
		idle   float64
	}{
		"established": {tcp(seg{true, syn, ""}, seg{false, syn | ack, ""}, seg{true, ack, ""}), 300},
		"closed":      {tcp(seg{true, fin, ""}, seg{false, fin, ""}), 5},
		"half open":   {tcp(seg{true, syn, ""}), 30},
		"udp":         {[]packettest.Frame{{Src: ap("10.0.0.1:1"), Dst: ap("10.0.0.2:2"), Proto: 17}}, 60},
		"icmp":        {[]packettest.Frame{{Src: ap("10.0.0.1:8"), Dst: ap("10.0.0.2:0"), Proto: 1}}, 30},
		"gre":         {[]packettest.Frame{{Src: ap("10.0.0.1:0"), Dst: ap("10.0.0.2:0"), Proto: 47}}, 30},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tb := flow.New(flow.Config{})
			for _, f := range c.frames {
				tb.Add(decode(t, 100, f))
			}
			report(tb, 100+c.idle-1)
			if n := tb.Stats().Active; n != 1 {
				t.Errorf("%d flows a second before the time-out", n)
			}
			report(tb, 100+c.idle)
			if n := tb.Stats().Active; n != 0 {
				t.Errorf("%d flows at the time-out", n)
			}
		})
	}
}

func TestReopenedConnectionIsANewFlow(t *testing.T) {
	t.Parallel()
	var released []uint32
	tb := flow.New(flow.Config{Release: func(h uint32) { released = append(released, h) }})
	f := packettest.Frame{Src: ap("10.0.0.1:40000"), Dst: ap("10.0.0.2:443"), Proto: 6, Flags: syn}
	r, _ := tb.Add(decode(t, 1, f))
	r.Handle, r.Done, r.App = 7, true, flow.AppTLS
	f.Flags = rst
	tb.Add(decode(t, 2, f))
	f.Flags = syn
	if r, _ = tb.Add(decode(t, 3, f)); r.Handle != 0 || r.Done || r.App != 0 {
		t.Errorf("record is not new: %+v", r)
	}
	if diff := cmp.Diff([]uint32{7}, released); diff != "" {
		t.Error(diff)
	}
	got := report(tb, 4)
	if len(got) != 2 || got[0].SrcPkts != 2 || !got[0].Ended || got[1].SrcPkts != 1 || got[1].State != network.TCPSynSent {
		t.Errorf("%+v", got)
	}
}

func TestICMPPairsAndOneWay(t *testing.T) {
	t.Parallel()
	tb := flow.New(flow.Config{})
	icmp := func(src, dst string, typ, code string) {
		tb.Add(decode(t, 1, packettest.Frame{Src: ap(src + ":" + typ), Dst: ap(dst + ":" + code), Proto: 1}))
	}
	icmp("10.0.0.2", "10.0.0.1", "0", "0") // the reply is seen first
	icmp("10.0.0.1", "10.0.0.2", "8", "0")
	icmp("10.0.0.1", "10.0.0.2", "3", "1")
	icmp("10.0.0.2", "10.0.0.1", "3", "1")
	got := finish(tb)
	if len(got) != 3 {
		t.Fatalf("%d flows: %+v", len(got), got)
	}
	echo := got[0]
	if echo.Source.String() != "10.0.0.1" || echo.SrcPort != 8 || echo.DstPort != 0 || echo.SrcPkts != 1 || echo.DstPkts != 1 {
		t.Errorf("echo: %+v", echo)
	}
	for i, src := range []string{"10.0.0.1", "10.0.0.2"} {
		if f := got[1+i]; f.Source.String() != src || f.SrcPort != 3 || f.DstPort != 1 || f.SrcPkts != 1 {
			t.Errorf("unreachable: %+v", f)
		}
	}
}

func TestFragmentsFollowTheFirst(t *testing.T) {
	t.Parallel()
	tb, fr := flow.New(flow.Config{}), flow.NewFragments()
	add := func(id uint16, first, last bool) {
		p := decode(t, 1, packettest.Frame{Src: ap("10.0.0.1:4000"), Dst: ap("10.0.0.2:53"), Proto: 17, Payload: make([]byte, 64)})
		p.Fragment, p.FirstFrag, p.FragID = true, first, uint32(id)
		if !first {
			p.SrcPort, p.DstPort, p.HasPorts = 0, 0, false
		}
		fr.Assign(p)
		tb.Add(p)
	}
	add(1, true, false)
	add(1, false, false)
	add(1, false, true)
	add(2, false, true) // its first was not seen
	got := finish(tb)
	if len(got) != 2 || got[0].SrcPkts != 3 || got[0].DstPort != 53 || got[1].SrcPkts != 1 || got[1].DstPort != 0 {
		t.Errorf("%+v", got)
	}
}
