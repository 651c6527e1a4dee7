package packettest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
)

// Timed is a frame and its time in nanoseconds since 1970.
type Timed struct {
	Time int64
	Data []byte
}

// Mix makes n frames, always the same ones for a seed: about a fifth DNS over
// UDP, TLS and plain TCP connections of some length, QUIC-like UDP, pings,
// ARP, a few frames that are broken; 15 % IPv6, 10 % with a VLAN tag. The
// frames of up to 64 conversations at once are interleaved.
func Mix(seed uint64, n int) []Timed {
	m := &mixer{rng: rand.New(rand.NewPCG(seed, 1)), hello: map[int][]byte{}}
	live := make([][][]byte, 64)
	out := make([]Timed, 0, n+1)
	now := int64(1_700_000_000_000_000_000)
	for len(out) < n {
		i := m.rng.IntN(len(live))
		if len(live[i]) == 0 {
			live[i] = m.conversation()
		}
		now += int64(m.rng.IntN(20_000))
		out = append(out, Timed{now, live[i][0]})
		live[i] = live[i][1:]
	}
	pack(out)
	return out
}

// pack lays the frames behind one another, as they lie in a ring and a file.
func pack(frames []Timed) {
	var all []byte
	for _, f := range frames {
		all = append(all, f.Data...)
	}
	for i := range frames {
		n := len(frames[i].Data)
		frames[i].Data, all = all[:n:n], all[n:]
	}
}

type mixer struct {
	rng   *rand.Rand
	hello map[int][]byte
	next  uint32
}

// endpoints returns a client and a server of one family.
func (m *mixer) endpoints(port uint16) (c, s netip.AddrPort) {
	m.next++
	cp := uint16(32768 + m.rng.IntN(28000))
	n, k := m.next, m.rng.IntN(500)
	if m.rng.IntN(100) < 15 {
		c6 := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)})
		s6 := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 1, 14: byte(k >> 8), 15: byte(k)})
		return netip.AddrPortFrom(c6, cp), netip.AddrPortFrom(s6, port)
	}
	c4 := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
	s4 := netip.AddrFrom4([4]byte{198, 51, byte(k >> 8), byte(k)})
	return netip.AddrPortFrom(c4, cp), netip.AddrPortFrom(s4, port)
}

func (m *mixer) conversation() [][]byte {
	var vlans []uint16
	if m.rng.IntN(10) == 0 {
		vlans = []uint16{uint16(1 + m.rng.IntN(100))}
	}
	switch k := m.rng.IntN(100); {
	case k < 45:
		return m.dns(vlans)
	case k < 60:
		return m.tcp(vlans, 443, m.clientHello())
	case k < 75:
		return m.tcp(vlans, 80, []byte("GET /index.html HTTP/1.1\r\nHost: example.org\r\n\r\n"))
	case k < 85:
		return m.udp(vlans)
	case k < 90:
		return m.ping(vlans)
	case k < 93:
		return [][]byte{ARP()}
	case k < 95:
		return [][]byte{m.Broken()}
	}
	return m.scan(vlans)
}

func (m *mixer) clientHello() []byte {
	k := m.rng.IntN(32)
	if m.hello[k] == nil {
		m.hello[k] = ClientHello(fmt.Sprintf("host%d.example.org", k), "h2", "http/1.1")
	}
	return m.hello[k]
}

func (m *mixer) dns(vlans []uint16) [][]byte {
	c, s := m.endpoints(53)
	id, name := uint16(m.rng.Uint32()), fmt.Sprintf("www%d.example.com", m.rng.IntN(5000))
	q := Frame{VLANs: vlans, Src: c, Dst: s, Proto: 17, Payload: Query(id, name, 1)}
	a := Frame{VLANs: vlans, Src: s, Dst: c, Proto: 17, Payload: Answer(id, name, 1, [4]byte{192, 0, 2, byte(id)})}
	return [][]byte{q.Bytes(), a.Bytes()}
}

// tcp is a connection with a request, some data back, and an end.
func (m *mixer) tcp(vlans []uint16, port uint16, request []byte) [][]byte {
	c, s := m.endpoints(port)
	cs, ss := m.rng.Uint32(), m.rng.Uint32()
	var out [][]byte
	send := func(up bool, flags uint8, payload []byte) {
		f := Frame{VLANs: vlans, Src: c, Dst: s, Proto: 6, Flags: flags, Seq: cs, Ack: ss, Payload: payload}
		n := uint32(len(payload))
		if flags&3 != 0 {
			n++
		}
		if up {
			cs += n
		} else {
			f.Src, f.Dst, f.Seq, f.Ack = s, c, ss, cs
			ss += n
		}
		out = append(out, f.Bytes())
	}
	send(true, 2, nil)
	send(false, 0x12, nil)
	send(true, 0x10, nil)
	send(true, 0x18, request)
	for range 2 + m.rng.IntN(20) {
		send(false, 0x10, make([]byte, 200+m.rng.IntN(1200)))
		send(true, 0x10, nil)
	}
	send(true, 0x11, nil)
	send(false, 0x11, nil)
	send(true, 0x10, nil)
	return out
}

func (m *mixer) udp(vlans []uint16) [][]byte {
	c, s := m.endpoints(443)
	var out [][]byte
	for i := range 4 + m.rng.IntN(16) {
		b := make([]byte, 100+m.rng.IntN(1100))
		b[0], b[4] = 0x40, 1
		if i < 2 {
			b[0] = 0xc3
		}
		f := Frame{VLANs: vlans, Src: c, Dst: s, Proto: 17, Payload: b}
		if i%2 == 1 {
			f.Src, f.Dst = s, c
		}
		out = append(out, f.Bytes())
	}
	return out
}

func (m *mixer) ping(vlans []uint16) [][]byte {
	c, s := m.endpoints(0)
	proto, echo, reply := uint8(1), uint16(8), uint16(0)
	if c.Addr().Is6() {
		proto, echo, reply = 58, 128, 129
	}
	a := Frame{VLANs: vlans, Src: netip.AddrPortFrom(c.Addr(), echo), Dst: netip.AddrPortFrom(s.Addr(), 0), Proto: proto, Payload: make([]byte, 48)}
	b := Frame{VLANs: vlans, Src: netip.AddrPortFrom(s.Addr(), reply), Dst: netip.AddrPortFrom(c.Addr(), 0), Proto: proto, Payload: make([]byte, 48)}
	return [][]byte{a.Bytes(), b.Bytes()}
}

func (m *mixer) scan(vlans []uint16) [][]byte {
	c, s := m.endpoints(uint16(1 + m.rng.IntN(1024)))
	syn := Frame{VLANs: vlans, Src: c, Dst: s, Proto: 6, Flags: 2, Seq: 1}
	rst := Frame{VLANs: vlans, Src: s, Dst: c, Proto: 6, Flags: 0x14, Ack: 2}
	return [][]byte{syn.Bytes(), rst.Bytes()}
}

// ARP returns a request.
func ARP() []byte {
	b := make([]byte, 42)
	copy(b, "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01")
	return b
}

// Broken returns a frame with one fault, among the usual ones.
func (m *mixer) Broken() []byte {
	c, s := m.endpoints(443)
	b := Frame{Src: c, Dst: s, Proto: 6, Flags: 16, Payload: make([]byte, 20)}.Bytes()
	ip := b[14:]
	switch m.rng.IntN(5) {
	case 0:
		ip[0] = ip[0]&0xf0 | 3 // header length (IPv6: traffic class)
	case 1:
		be.PutUint16(ip[2:], 9000)
		be.PutUint16(ip[4:], 9000)
	case 2:
		b[14+len(ip)-20-20+12] = 0 // TCP offset
	case 3:
		b = b[:14+m.rng.IntN(30)]
	case 4:
		be.PutUint16(b[12:], uint16(m.rng.Uint32()))
	}
	return b
}

// Mutate returns a copy of a frame with a few bytes changed, or cut short.
func Mutate(rng *rand.Rand, frame []byte) []byte {
	b := append([]byte(nil), frame...)
	for range rng.IntN(4) {
		// The headers are where a change matters.
		b[rng.IntN(min(len(b), 80))] = byte(rng.Uint32())
	}
	if rng.IntN(5) == 0 {
		b = b[:rng.IntN(len(b)+1)]
	}
	return b
}
