package lldp_test

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/lldp"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
)

// frame gives the parser a frame of Ethernet without tags.
func frame(p *lldp.Parser, out *parse.Out, f []byte) error {
	if len(f) < 14 {
		return parse.ErrNot
	}
	src, b := network.MAC(f[6:12]), f[14:]
	switch typ := binary.BigEndian.Uint16(f[12:]); {
	case typ == lldp.EtherType:
		return p.LLDP(out, src, b)
	case typ < 0x600 && lldp.LooksLikeCDP(b):
		return p.CDP(out, src, b[:min(len(b), int(typ))])
	}
	return parse.ErrNot
}

func TestCaptures(t *testing.T) {
	t.Parallel()
	p, out := lldp.New(), parsetest.NewOut()
	parsetest.Packets(t, "testdata/announcements.pcap", func(k *parsetest.Packet) {
		out.Session = network.Session{Time: k.Session().Time}
		if err := frame(p, out, k.Frame); err != nil {
			t.Error(err)
		}
	})
	p.Cut(out, time.Time{}, true)
	protocols := map[string]bool{}
	for _, l := range out.Records.Links {
		protocols[l.Protocol] = true
	}
	if !protocols["lldp"] || !protocols["cdp"] {
		t.Errorf("the capture has only %v", protocols)
	}
	parsetest.Compare(t, "testdata/announcements.pcap", parsetest.Rows(t, out)+"\n")
}

func tlv(typ byte, v string) string {
	return string([]byte{typ<<1 | byte(len(v)>>8), byte(len(v))}) + v
}

const ttl = "\x06\x02\x00\x78"

func TestLLDP(t *testing.T) {
	t.Parallel()
	head := tlv(1, "\x04\x02\x00\x00\x00\x00\x07") + tlv(2, "\x05ge-0/0/1") + ttl
	for title, c := range map[string]struct {
		b    string
		want network.Link
		err  error
	}{
		"least":          {head + "\x00\x00", network.Link{Device: "02:00:00:00:00:07", Chassis: "02:00:00:00:00:07", Port: "ge-0/0/1"}, nil},
		"no end":         {head, network.Link{Device: "02:00:00:00:00:07", Chassis: "02:00:00:00:00:07", Port: "ge-0/0/1"}, nil},
		"more":           {head + tlv(5, "sw1") + tlv(7, "\x00\x14\x00\x10") + tlv(127, "\x00\x80\xc2\x01\x00\x2a") + tlv(6, "a\x00b"), network.Link{Device: "sw1", Chassis: "02:00:00:00:00:07", Port: "ge-0/0/1", Capabilities: "router", VLAN: 42, Description: `a\000b`}, nil},
		"leaving":        {tlv(1, "\x07x") + tlv(2, "\x05x") + "\x06\x02\x00\x00\x00\x00", network.Link{}, nil},
		"order":          {tlv(2, "\x05x") + tlv(1, "\x07x") + ttl, network.Link{}, parse.ErrMalformed},
		"no port":        {tlv(1, "\x07x") + "\x00\x00", network.Link{}, parse.ErrMalformed},
		"longer than it": {head + "\x0b\xff", network.Link{}, parse.ErrMalformed},
		"empty chassis":  {tlv(1, "\x07"), network.Link{}, parse.ErrMalformed},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			p, out := lldp.New(), parsetest.NewOut()
			for range 3 {
				if err := p.LLDP(out, network.MAC{2}, []byte(c.b)); err != c.err { //nolint:errorlint // the sentinel itself
					t.Fatalf("%v, want %v", err, c.err)
				}
			}
			p.Cut(out, time.Time{}, false)
			if c.want.Device == "" {
				if len(out.Records.Links) != 0 {
					t.Errorf("%+v", out.Records.Links)
				}
				return
			}
			c.want.Protocol, c.want.MAC = "lldp", network.MAC{2}
			if n := len(out.Records.Links); n != 1 || out.Records.Links[0] != c.want {
				t.Errorf("%+v", out.Records.Links)
			}
		})
	}
}

func TestCDPAddresses(t *testing.T) {
	t.Parallel()
	body := "\x02\xb4\x00\x00" + "\x00\x01\x00\x07sw1" +
		"\x00\x16\x00\x1d\x00\x00\x00\x02" + "\x01\x01\x81\x00\x04abcd" + "\x01\x01\xcc\x00\x04\xc0\x00\x02\x07" + "\x00\x00\x00"
	p, out := lldp.New(), parsetest.NewOut()
	if err := p.CDP(out, network.MAC{2}, []byte(body)); err != nil {
		t.Fatal(err)
	}
	p.Cut(out, time.Time{}, true)
	if l := out.Records.Links[0]; l.Device != "sw1" || l.Addr.String() != "192.0.2.7" {
		t.Errorf("%+v", l)
	}
	for _, b := range []string{"\x02\xb4\x00\x00\x00\x01\x00\x03x", "\x02\xb4\x00\x00\x00\x01\x00\x09x", "\x02\xb4\x00\x00"} {
		if err := p.CDP(out, network.MAC{2}, []byte(b)); err != parse.ErrMalformed { //nolint:errorlint // the sentinel itself
			t.Errorf("%q: %v", b, err)
		}
	}
}

func TestBounded(t *testing.T) {
	t.Parallel()
	p, out := lldp.New(), parse.NewOut(1<<20, 1<<16)
	b := []byte(tlv(1, "\x04\x02\x00\x00\x00\x00\x07") + tlv(2, "\x05x") + ttl)
	for i := range uint32(1_000_000) {
		binary.BigEndian.PutUint32(b[5:], i)
		_ = p.LLDP(out, network.MAC{2}, b)
	}
	p.Cut(out, time.Time{}, true)
	if n := len(out.Records.Links); n > lldp.MaxLinks || uint64(n)+out.Over != 1_000_000 {
		t.Errorf("%d rows, %d over", n, out.Over)
	}
}

func TestLinear(t *testing.T) {
	p, out := lldp.New(), parsetest.NewOut()
	head := []byte(tlv(1, "\x04\x02\x00\x00\x00\x00\x07") + tlv(2, "\x05x") + ttl)
	parsetest.Linear(t, 60, func(n int) {
		_ = p.LLDP(out, network.MAC{2}, append(bytes.Clone(head), bytes.Repeat([]byte(tlv(4, "abcdefgh")), n)...))
	})
}

func FuzzFrame(f *testing.F) {
	parsetest.Packets(f, "testdata/announcements.pcap", func(k *parsetest.Packet) { f.Add(bytes.Clone(k.Frame)) })
	f.Fuzz(func(t *testing.T, b []byte) {
		p, out := lldp.New(), parsetest.NewOut()
		err := frame(p, out, b)
		p.Cut(out, time.Time{}, true)
		if n := len(out.Records.Links); n > 1 || n == 1 && err != nil {
			t.Errorf("%d rows, %v", n, err)
		}
	})
}
