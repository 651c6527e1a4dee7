package gen

import (
	"fmt"
	"math"
	"net/netip"
	"strings"

	"github.com/rind-project/rind/internal/network/packet/packettest"
)

const (
	typeA    = 1
	typeAAAA = 28
	typeTXT  = 16
)

// makeNames makes the names that are asked for, the frequent ones first.
func (g *generator) makeNames() {
	hosts := []string{"www", "api", "cdn", "static", "img", "mail", "login", "edge-7", "push", "telemetry"}
	tlds := []string{"example.com", "example.net", "example.org", "co.uk", "de", "io"}
	for i := range 8000 {
		name := fmt.Sprintf("%s.site%d.%s", hosts[g.rng.IntN(len(hosts))], i/3, tlds[g.rng.IntN(len(tlds))])
		if g.rng.IntN(20) == 0 {
			name = fmt.Sprintf("%x.%s", g.rng.Uint64(), name)
		}
		g.names = append(g.names, name)
	}
}

// name picks one, some of them often.
func (t *talk) name() string {
	n := len(t.g.names)
	return t.g.names[min(n-1, int(float64(n)*math.Pow(t.rng.Float64(), 3)))]
}

func question(id uint16, flags uint16, name string, typ uint16) []byte {
	b := be.AppendUint16(be.AppendUint16(nil, id), flags)
	b = append(b, 0, 1, 0, 0, 0, 0, 0, 0)
	for label := range strings.SplitSeq(name, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return be.AppendUint16(be.AppendUint16(append(b, 0), typ), 1)
}

// resource appends a resource record for the question's name.
func resource(b []byte, typ uint16, data []byte) []byte {
	be.PutUint16(b[6:], be.Uint16(b[6:])+1)
	b = be.AppendUint16(be.AppendUint16(append(b, 0xc0, 12), typ), 1)
	b = be.AppendUint16(be.AppendUint32(b, 300), uint16(len(data)))
	return append(b, data...)
}

func (t *talk) dns() {
	t.meet(0, 53)
	t.resolver()
	name, id, typ := t.name(), uint16(t.rng.Uint32()), uint16(typeA)
	if t.rng.IntN(3) == 0 {
		typ = typeAAAA
	}
	t.ask(id, name, typ)
	flags := uint16(0x8180)
	if t.rng.IntN(12) == 0 {
		flags |= 3 // no such name
	}
	if t.rng.IntN(50) == 0 {
		return // no answer comes
	}
	b := question(id, flags, name, typ)
	for range 1 + t.rng.IntN(3) {
		if flags&15 != 0 {
			break
		}
		if typ == typeA {
			b = resource(b, typ, []byte{198, 18, byte(t.rng.IntN(16)), byte(t.rng.Uint32())})
		} else {
			b = resource(b, typ, netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 2, 15: byte(t.rng.Uint32())}).AsSlice())
		}
	}
	t.g.notes.dns++
	t.send(1, int64(1e6+t.rng.ExpFloat64()*15e6), b)
}

// resolver makes the server one of the few that clients ask.
func (t *talk) resolver() {
	a := netip.AddrFrom4([4]byte{10, 0, 0, byte(2 + t.rng.IntN(4))})
	if t.ends[0].Addr().Is6() {
		a = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 1, 15: 53})
	}
	t.ends[1] = netip.AddrPortFrom(a, 53)
}

func (t *talk) ask(id uint16, name string, typ uint16) {
	b := question(id, 0x0100, name, typ)
	b[11] = 1 // EDNS(0), 1232 bytes (RFC 6891)
	b = append(b, 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0)
	t.g.notes.dns++
	t.send(0, 0, b)
}

// dnsFragmented is a question whose answer is larger than the link takes.
func (t *talk) dnsFragmented() {
	t.meet(0, 53)
	t.resolver()
	if t.vlan != 0 {
		t.vlan = 0
		t.g.notes.tagged--
	}
	name, id := t.name(), uint16(t.rng.Uint32())
	t.ask(id, name, typeTXT)
	b := question(id, 0x8180, name, typeTXT)
	for range 10 {
		b = resource(b, typeTXT, append([]byte{250}, strings.Repeat("text record ", 21)[:250]...))
	}
	t.g.notes.dns++
	gap := int64(20e6)
	for _, f := range packettest.Fragments(t.datagram(1, b), 1480, t.rng.Uint32()) {
		if f[12] == 8 { // IPv4: its header changed
			be.PutUint16(f[24:], 0)
			be.PutUint16(f[24:], fold(add(0, f[14:34])))
		}
		t.g.notes.fragments++
		t.later(gap, pad(f))
		gap = 10_000
	}
}
