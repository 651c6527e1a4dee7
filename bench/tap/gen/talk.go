package gen

import (
	"math/rand/v2"
	"net/netip"
)

// talk is a conversation that goes on.
type talk struct {
	g    *generator
	rng  *rand.Rand
	kind kind
	at   int64 // when its next packet comes
	gap  int64 // nanoseconds between packets of payload, on average
	link
	queue  []sent
	bulk   int
	paced  int // packets of payload since an acknowledgement
	closed bool
	stamps bool // TCP timestamps
	seq    [2]uint32
	clock  uint32
	mss    int
	shape  shape
	record func(side int, n int) []byte // a payload of about n bytes
}

// sent is a frame and how long after the one before it comes.
type sent struct {
	gap   int64
	frame []byte
}

// shape is how the payload of a conversation goes to and fro.
type shape uint8

const (
	download shape = iota
	upload
	dialogue
)

// link is what the frames of a conversation have in common.
type link struct {
	ends [2]netip.AddrPort // client, server
	mac  [2][6]byte
	vlan uint16
	ttl  [2]uint8
	id   uint16
}

// open begins a conversation, and makes what its kind always has.
func (g *generator) open(p *plan) *talk {
	t := &talk{g: g, rng: rand.New(rand.NewPCG(p.seed, 2)), kind: p.kind, at: p.start, bulk: p.bulk}
	t.gap, t.mss = int64(30e6+t.rng.ExpFloat64()*60e6), 1448
	if t.bulk > 0 {
		left := base + int64(g.cfg.Span) - p.start
		t.gap = min(t.gap, max(1000, left*9/10/int64(t.bulk+40)))
	}
	switch k := t.rng.IntN(100); {
	case k < 45:
		t.shape = download
	case k < 55:
		t.shape = upload
	default:
		t.shape = dialogue
	}
	g.made[p.kind]++
	openers[p.kind](t)
	return t
}

// openers make the frames with which each kind begins.
var openers = [kinds]func(*talk){
	kindDNS: (*talk).dns, kindDNSFragmented: (*talk).dnsFragmented, kindTLS12: (*talk).tls12, kindTLS13: (*talk).tls13,
	kindTLSLarge: (*talk).tls13, kindQUIC: (*talk).quic, kindHTTP: (*talk).http, kindSSH: (*talk).ssh, kindDHCP: (*talk).dhcp,
	kindNTP: (*talk).ntp, kindPing: (*talk).ping, kindScan: (*talk).scan, kindScanAnswered: (*talk).scan, kindUDP: (*talk).unknownUDP,
	kindTCP: (*talk).unknownTCP, kindARP: (*talk).arp, kindBroken: (*talk).broken,
}

// fixed is how many packets the conversation has without payload to fill up
// the mix.
func (t *talk) fixed() int {
	n := len(t.queue)
	if t.ends[0].IsValid() && t.tcp() && !t.closed {
		n += 3
	}
	return n
}

func (t *talk) tcp() bool {
	switch t.kind {
	case kindTLS12, kindTLS13, kindTLSLarge, kindHTTP, kindSSH, kindTCP:
		return true
	}
	return false
}

// take returns the frame that is due.
func (t *talk) take() []byte {
	f := t.queue[0].frame
	t.queue = t.queue[1:]
	return f
}

// more makes the next frame, and reports whether there is one.
func (t *talk) more() bool {
	for len(t.queue) == 0 {
		switch {
		case t.bulk > 0:
			t.payload()
		case !t.closed && t.tcp():
			t.close()
		default:
			return false
		}
	}
	t.at += max(1000, t.queue[0].gap)
	return true
}

// payload makes one or two packets of payload, one in 500 of which comes twice
// or too late.
func (t *talk) payload() {
	t.bulk--
	side, n := 1, t.mss
	if t.shape == upload {
		side = 0
	}
	if t.shape == dialogue {
		side, n = t.rng.IntN(2), 40+int(t.rng.ExpFloat64()*180)%t.mss
	} else if t.paced++; t.paced > 2 {
		t.paced, side, n = 0, 1-side, 0
	}
	if !t.tcp() {
		if n == 0 {
			n = 35
		}
		t.send(side, t.wait(), t.record(side, min(n, 1250)))
		return
	}
	var b []byte
	if n > 0 {
		b = t.record(side, n)
	}
	t.segment(side, t.wait(), 0x10, b)
	if len(b) == 0 || t.bulk == 0 || t.kind == kindHTTP {
		return
	}
	switch t.rng.IntN(500) {
	case 0:
		t.bulk--
		t.g.notes.again++
		t.queue = append(t.queue, sent{t.wait() + 200e6, t.queue[len(t.queue)-1].frame})
	case 1: // overtaken by the next
		t.bulk--
		t.segment(side, 2000, 0x10, t.record(side, n))
		q := t.queue[len(t.queue)-2:]
		q[0].frame, q[1].frame = q[1].frame, q[0].frame
	}
}

func (t *talk) wait() int64 { return int64(float64(t.gap) * (0.5 + t.rng.Float64())) }

// bytes are n bytes that look like ciphertext.
func (t *talk) bytes(n int) []byte {
	at := t.rng.IntN(len(t.g.pool) - n)
	return t.g.pool[at : at+n]
}

// meet makes the two ends. One conversation in seven is IPv6, one in ten has
// a VLAN tag.
func (t *talk) meet(clients, port uint16) {
	g := t.g
	g.notes.flows++
	g.index++
	cport := uint16(32768 + t.rng.IntN(28000))
	if clients != 0 {
		cport = clients
	}
	host, server := uint32(t.rng.IntN(20_000)), uint32(t.rng.ExpFloat64()*400)%4000
	if t.rng.IntN(100) < 15 {
		g.notes.v6++
		c := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 1, 13: byte(host >> 16), 14: byte(host >> 8), 15: byte(host)})
		s := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 2, 14: byte(server >> 8), 15: byte(server)})
		t.ends = [2]netip.AddrPort{netip.AddrPortFrom(c, cport), netip.AddrPortFrom(s, port)}
	} else {
		c := netip.AddrFrom4([4]byte{10, 1 + byte(host>>16), byte(host >> 8), byte(host)})
		s := netip.AddrFrom4([4]byte{198, 18, byte(server >> 8), byte(server)})
		t.ends = [2]netip.AddrPort{netip.AddrPortFrom(c, cport), netip.AddrPortFrom(s, port)}
	}
	if t.rng.IntN(10) == 0 {
		g.notes.tagged++
		t.vlan = uint16(10 + t.rng.IntN(40))
	}
	t.mac = [2][6]byte{{2, 0, 0, 0, byte(host >> 8), byte(host)}, {2, 0, 0, 1, 0, 1}}
	t.ttl = [2]uint8{64, uint8(64 - 3 - server%20)}
	if host%3 == 0 {
		t.ttl[0] = 128
	}
	t.id = uint16(t.rng.Uint32())
	t.stamps = host%3 != 0
	t.seq = [2]uint32{t.rng.Uint32(), t.rng.Uint32()}
	t.clock = t.rng.Uint32()
	if t.ends[0].Addr().Is6() {
		t.mss = 1428
	}
	if !t.stamps {
		t.mss += 12
	}
}
