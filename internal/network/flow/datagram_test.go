package flow_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
)

// whole is a UDP datagram of n bytes behind its header, by either IP.
func whole(v6 bool, n int) packettest.Frame {
	f := packettest.Frame{Src: ap("10.0.0.1:4000"), Dst: ap("10.0.0.2:53"), Proto: 17, ID: 77, Payload: make([]byte, n)}
	if v6 {
		f.Src, f.Dst = ap("[2001:db8::1]:4000"), ap("[2001:db8::2]:53")
	}
	for i := range f.Payload {
		f.Payload[i] = byte(i * 7)
	}
	return f
}

// decoded decodes a frame as it is.
func decoded(t testing.TB, b []byte) *packet.Packet {
	t.Helper()
	var d packet.Decoder
	p := &packet.Packet{}
	if s := d.Decode(packet.LinkEthernet, b, len(b), p); s != packet.IP {
		t.Fatalf("frame is %v", s)
	}
	p.Time = second
	return p
}

func TestDatagramsAreWhole(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 9))
	for round := range 60 {
		f := whole(round%2 == 1, 1+rng.IntN(60_000))
		parts := packettest.Fragments(f.Bytes(), 8*(1+rng.IntN(400)), uint32(round))
		if round%3 == 1 {
			rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		}
		if round%3 == 2 { // one twice
			at := rng.IntN(len(parts))
			parts = append(parts[:at+1:at+1], parts[at:]...)
			if at == len(parts)-2 {
				parts = parts[:len(parts)-1] // a last one twice would begin a new datagram
			}
		}
		fr, tb, done := flow.NewFragments(), flow.New(flow.Config{MaxFlows: 1024}), 0
		for i, b := range parts {
			p := decoded(t, b)
			if !p.Fragment { // it fitted into one
				done++
				break
			}
			fr.Assign(p)
			tb.Add(p)
			switch {
			case p.Reassembled:
				done++
				if !bytes.Equal(p.Payload, f.Payload) || p.PayloadOnNet != len(f.Payload) || p.SrcPort != 4000 || p.DstPort != 53 {
					t.Fatalf("round %d: payload of %d bytes, want %d; ports %d, %d", round, len(p.Payload), len(f.Payload), p.SrcPort, p.DstPort)
				}
				if i != len(parts)-1 {
					t.Errorf("round %d: whole after %d of %d", round, i+1, len(parts))
				}
			case len(p.Payload) != 0:
				t.Fatalf("round %d: a fragment shows %d bytes of its own", round, len(p.Payload))
			}
		}
		if done != 1 || fr.Stats().Bytes != 0 {
			t.Errorf("round %d: %d datagrams, %d bytes are held: %+v", round, done, fr.Stats().Bytes, fr.Stats())
		}
		packets := uint64(0)
		for _, x := range finish(tb) {
			packets += x.SrcPkts + x.DstPkts
		}
		if done == 1 && len(parts) > 1 && packets != uint64(len(parts)) {
			t.Errorf("round %d: %d packets were counted, want %d", round, packets, len(parts))
		}
	}
}

func TestDatagramsRefused(t *testing.T) {
	t.Parallel()
	parts := packettest.Fragments(whole(true, 4001).Bytes(), 1000, 5)
	change := func(b []byte, at int, to byte) []byte { c := bytes.Clone(b); c[at] = to; return c }
	last := len(parts) - 1
	offset := func(b []byte, units uint16, more bool) []byte { // of an IPv6 fragment header
		c := bytes.Clone(b)
		v := units << 3
		if more {
			v |= 1
		}
		binary.BigEndian.PutUint16(c[14+40+2:], v)
		return c
	}
	for name, c := range map[string]struct {
		parts    [][]byte
		overlaps uint64
		whole    uint64
	}{
		"all":               {parts, 0, 1},
		"one is missing":    {append(parts[:1:1], parts[2:]...), 0, 0},
		"overlap":           {append([][]byte{parts[0], offset(parts[1], 100, true)}, parts[1:]...), 1, 0},
		"same place":        {append([][]byte{parts[0], change(parts[0], 200, 9)}, parts[1:]...), 1, 0},
		"same again":        {append([][]byte{parts[0], parts[0]}, parts[1:]...), 0, 1},
		"two ends":          {append([][]byte{parts[last], offset(parts[last], 600, false)}, parts[:last]...), 1, 0},
		"behind the end":    {append([][]byte{parts[last], offset(parts[1], 700, true)}, parts[:last]...), 1, 0},
		"an end too early":  {[][]byte{parts[0], parts[1], parts[2], offset(parts[last], 30, false), parts[3], parts[last]}, 1, 0},
		"odd length inside": {append([][]byte{offset(parts[last], 800, true)}, parts...), 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fr := flow.NewFragments()
			for _, b := range c.parts {
				fr.Assign(decoded(t, b))
			}
			if s := fr.Stats(); s.Overlaps != c.overlaps || s.Whole != c.whole {
				t.Errorf("%+v, want %d overlaps and %d whole", s, c.overlaps, c.whole)
			}
		})
	}
}

// TestDatagramInATunnel has a frame in VXLAN that was too long for the way:
// its parts are packets of the inner flow.
func TestDatagramInATunnel(t *testing.T) {
	t.Parallel()
	in := packettest.Frame{Src: ap("192.168.0.1:40000"), Dst: ap("192.168.0.2:5000"), Proto: 17, Payload: bytes.Repeat([]byte("abc"), 900)}
	out := packettest.Frame{Src: ap("10.0.0.1:5555"), Dst: ap("10.0.0.2:4789"), Proto: 17, ID: 9,
		Payload: append([]byte{8, 0, 0, 0, 0, 0, 42, 0}, in.Bytes()...)}
	fr, tb := flow.NewFragments(), flow.New(flow.Config{MaxFlows: 1024})
	parts := packettest.Fragments(out.Bytes(), 1400, 9)
	payload := []byte(nil)
	for _, b := range parts {
		p := decoded(t, b)
		fr.Assign(p)
		tb.Add(p)
		payload = append(payload, p.Payload...)
	}
	got := finish(tb)
	if len(got) != 1 || got[0].SrcPkts != uint64(len(parts)) || got[0].DstPort != 5000 || got[0].Tunnel != network.TunnelVXLAN || got[0].TunnelID != 42 {
		t.Errorf("%+v", got)
	}
	if !bytes.Equal(payload, in.Payload) {
		t.Errorf("the parsers saw %d bytes, want %d", len(payload), len(in.Payload))
	}
}

func TestDatagramsWait(t *testing.T) {
	t.Parallel()
	fr := flow.NewFragmentsWithin(flow.FragmentLimits{Wait: time.Second})
	parts := packettest.Fragments(whole(false, 3000).Bytes(), 1400, 5)
	for i, b := range parts {
		p := decoded(t, b)
		if i == len(parts)-1 {
			p.Time += second + 1
		}
		if fr.Assign(p); p.Reassembled {
			t.Error("the datagram is whole after its time")
		}
	}
	if s := fr.Stats(); s.GivenUp != 1 || s.Whole != 0 {
		t.Errorf("%+v", s)
	}
}

// TestMillionFragments sends first fragments of a million datagrams that are
// never whole: what is held stays within the limits, each costs the same, and
// a datagram that comes in between is still put together.
func TestMillionFragments(t *testing.T) {
	t.Parallel()
	limits := flow.FragmentLimits{Datagrams: 256, Bytes: 1 << 20}
	fr := flow.NewFragmentsWithin(limits)
	parts := packettest.Fragments(whole(false, 3000).Bytes(), 1480, 5)
	good, most := 0, uint64(0)
	data := make([]byte, 1480)
	for n := range uint32(1_000_000) {
		p := numbered(n, int64(n))
		p.Fragment, p.FirstFrag, p.MoreFrags, p.FragVersion, p.FragNext, p.FragID = true, n%2 == 0, true, 4, 17, n
		p.FragSrc, p.FragDst, p.FragData = p.Src, p.Dst, data
		if n%2 == 1 {
			p.FragOffset = uint16(n % 7 * 8000)
		}
		fr.Assign(p)
		most = max(most, fr.Stats().Bytes)
		if n%1000 == 0 {
			for _, b := range parts {
				q := decoded(t, b)
				q.Time = int64(n)
				q.FragID = n
				if fr.Assign(q); q.Reassembled {
					good++
				}
			}
		}
	}
	if s := fr.Stats(); most > uint64(limits.Bytes) || s.GivenUp < 990_000 || s.Whole != 1000 || good != 1000 {
		t.Errorf("at most %d bytes were held, %d datagrams were whole: %+v", most, good, s)
	}
}

func TestAssignAllocatesNothing(t *testing.T) {
	fr := flow.NewFragments()
	var d packet.Decoder
	var p packet.Packet
	parts := packettest.Fragments(whole(true, 9000).Bytes(), 1400, 1)
	if n := testing.AllocsPerRun(50, func() {
		for _, b := range parts {
			d.Decode(packet.LinkEthernet, b, len(b), &p)
			fr.Assign(&p)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzFragments puts fragments together as its input says. Each byte says
// where it belongs, so that a datagram that comes out can be checked.
func FuzzFragments(f *testing.F) {
	f.Add([]byte{0, 2, 1, 2, 2, 0})
	f.Add([]byte{2, 0, 1, 2, 0, 2, 0, 2})
	f.Add([]byte{0, 3, 1, 3, 1, 3, 4, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		fr := flow.NewFragmentsWithin(flow.FragmentLimits{Datagrams: 4, Bytes: 64 << 10})
		for i := 0; i+1 < len(in); i += 2 {
			offset, units, more := int(in[i]&0x3f)*8, int(in[i+1]&0x1f), in[i+1]&0x80 != 0
			data := make([]byte, units*8+int(in[i+1]>>5&3)*3)
			for j := range data {
				data[j] = byte(offset+j) ^ in[i]>>6
			}
			p := numbered(1, int64(i))
			p.Fragment, p.FirstFrag, p.MoreFrags, p.FragVersion, p.FragNext = true, offset == 0, more, 4, 200
			p.FragSrc, p.FragDst, p.FragData, p.FragOffset, p.Proto = p.Src, p.Dst, data, uint16(offset), 200
			fr.Assign(p)
			if p.Reassembled {
				for j, b := range p.Payload {
					if b&0x3c != byte(j)&0x3c {
						t.Fatalf("byte %d of %d is %#x", j, len(p.Payload), b)
					}
				}
			}
			if s := fr.Stats(); s.Bytes > 64<<10 {
				t.Fatalf("%d bytes are held", s.Bytes)
			}
		}
	})
}
