package gen

import "net/netip"

// The protocols of what is made.
const (
	icmp   = 1
	tcp    = 6
	udp    = 17
	icmpv6 = 58
)

// ethernet returns the beginning of a frame from a side.
func (t *talk) ethernet(side int, size int) []byte {
	b := make([]byte, 0, 18+size)
	b = append(append(b, t.mac[1-side][:]...), t.mac[side][:]...)
	if t.vlan != 0 {
		b = be.AppendUint16(be.AppendUint16(b, 0x8100), t.vlan)
	}
	return b
}

// packet puts a transport segment, whose checksum is at the offset given,
// into a frame.
func (t *talk) packet(side int, proto uint8, segment []byte, sum int) []byte {
	src, dst := t.ends[side].Addr(), t.ends[1-side].Addr()
	b := t.ethernet(side, 40+len(segment))
	if src.Is4() {
		t.id++
		at := len(b) + 2
		b = append(be.AppendUint16(b, 0x0800), 0x45, 0)
		b = be.AppendUint16(be.AppendUint16(b, uint16(20+len(segment))), t.id)
		b = append(b, 0x40, 0, t.ttl[side], proto, 0, 0)
		b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
		be.PutUint16(b[at+10:], fold(add(0, b[at:at+20])))
	} else {
		b = append(be.AppendUint16(b, 0x86dd), 0x60, 0, 0, 0)
		b = append(be.AppendUint16(b, uint16(len(segment))), proto, t.ttl[side])
		b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
	}
	if sum >= 0 {
		be.PutUint16(segment[sum:], 0)
		v := fold(add(pseudo(src, dst, proto, len(segment)), segment))
		if v == 0 && proto == udp {
			v = 0xffff
		}
		be.PutUint16(segment[sum:], v)
	}
	return pad(append(b, segment...))
}

// pad fills a frame up to the least that Ethernet carries, without its FCS.
func pad(b []byte) []byte {
	for len(b) < 60 {
		b = append(b, 0)
	}
	return b
}

// pseudo sums the pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1);
// that of ICMP has none.
func pseudo(src, dst netip.Addr, proto uint8, n int) uint64 {
	if proto == icmp {
		return 0
	}
	return add(add(uint64(proto)+uint64(n), src.AsSlice()), dst.AsSlice())
}

func add(sum uint64, b []byte) uint64 {
	for ; len(b) >= 4; b = b[4:] {
		sum += uint64(be.Uint32(b))
	}
	if len(b) >= 2 {
		sum += uint64(be.Uint16(b))
		b = b[2:]
	}
	if len(b) > 0 {
		sum += uint64(b[0]) << 8
	}
	return sum
}

func fold(sum uint64) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// later puts a frame behind those that are to be sent.
func (t *talk) later(gap int64, frame []byte) { t.queue = append(t.queue, sent{gap, frame}) }

// send makes a UDP datagram from a side.
func (t *talk) send(side int, gap int64, payload []byte) { t.later(gap, t.datagram(side, payload)) }

func (t *talk) datagram(side int, payload []byte) []byte {
	u := make([]byte, 8, 8+len(payload))
	be.PutUint16(u, t.ends[side].Port())
	be.PutUint16(u[2:], t.ends[1-side].Port())
	be.PutUint16(u[4:], uint16(8+len(payload)))
	return t.packet(side, udp, append(u, payload...), 6)
}

// Flags of TCP.
const (
	fin = 1
	syn = 2
	rst = 4
	psh = 8
	ack = 16
)

// segment makes a TCP segment from a side.
func (t *talk) segment(side int, gap int64, flags uint8, payload []byte) {
	h := make([]byte, 20, 60+len(payload))
	be.PutUint16(h, t.ends[side].Port())
	be.PutUint16(h[2:], t.ends[1-side].Port())
	be.PutUint32(h[4:], t.seq[side])
	if flags&ack != 0 {
		be.PutUint32(h[8:], t.seq[1-side])
	}
	h[13] = flags
	be.PutUint16(h[14:], uint16(501+side*8))
	if h = t.options(h, side, flags); len(h) > 20 {
		h[12] = uint8(len(h)/4) << 4
	} else {
		h[12] = 5 << 4
	}
	t.seq[side] += uint32(len(payload))
	if flags&(syn|fin) != 0 {
		t.seq[side]++
	}
	t.later(gap, t.packet(side, tcp, append(h, payload...), 16))
}

func (t *talk) options(h []byte, side int, flags uint8) []byte {
	t.clock++
	switch {
	case flags&syn != 0 && t.stamps:
		h = append(h, 2, 4, 5, 0xb4, 4, 2, 8, 10)
		h = append(be.AppendUint32(be.AppendUint32(h, t.clock), 0), 1, 3, 3, 7)
		be.PutUint16(h[14:], 64240)
	case flags&syn != 0:
		h = append(h, 2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2)
		be.PutUint16(h[14:], 65535)
	case t.stamps && flags&rst == 0:
		h = append(h, 1, 1, 8, 10)
		h = be.AppendUint32(be.AppendUint32(h, t.clock+uint32(side)), t.clock)
	}
	return h
}

// connect makes the handshake of a connection.
func (t *talk) connect() {
	rtt := int64(2e6 + t.rng.ExpFloat64()*20e6)
	t.segment(0, 0, syn, nil)
	t.segment(1, rtt, syn|ack, nil)
	t.segment(0, 200_000, ack, nil)
}

// say sends bytes in as many segments as they need.
func (t *talk) say(side int, gap int64, b []byte) {
	for len(b) > 0 {
		n := min(len(b), t.mss)
		flags := uint8(ack)
		if n == len(b) {
			flags |= psh
		}
		t.segment(side, gap, flags, b[:n])
		b, gap = b[n:], 20_000
	}
}

// close ends a connection: most by FIN, some by RST.
func (t *talk) close() {
	t.closed = true
	if t.rng.IntN(12) == 0 {
		t.segment(0, t.wait(), fin|ack, nil)
		t.segment(1, 5e6, ack, nil)
		t.segment(1, 5e6, rst|ack, nil)
		return
	}
	t.segment(0, t.wait(), fin|ack, nil)
	t.segment(1, 5e6, fin|ack, nil)
	t.segment(0, 200_000, ack, nil)
}
