// Package ntp reads NTP (RFC 5905): a server's answers, with the offset of the
// client's clock and the delay of the round trip where the tap saw the request.
package ntp

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"net/netip"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

var be = binary.BigEndian

// Port is NTP's.
const Port = 123

const (
	headerLen = 48
	ways      = 4
	sets      = 1024
	// A client whose clock is further off than this, or that sends a random
	// number in place of its time, as chrony does, has no offset.
	maxOffset = 24 * time.Hour
	maxWait   = 10 * time.Second
)

// Parser reads NTP. One serves all flows: its table of requests has a fixed
// size, and a request that finds its place taken pushes the oldest out.
type Parser struct {
	seed    maphash.Seed
	waiting [][ways]request
}

// request is what waits for an answer. at is 0 in a free place.
type request struct {
	key      flow
	transmit uint64 // as it stands in the request
	at       int64  // when the tap saw it, in nanoseconds
}

type flow struct {
	client, server netip.Addr
	port           uint16
	vlan           uint16
}

var _ parse.Datagrams = (*Parser)(nil)

// New makes a Parser and reserves its table.
func New() *Parser {
	return &Parser{seed: maphash.MakeSeed(), waiting: make([][ways]request, sets)}
}

// LooksLike reports whether b begins like NTP: version 1 to 4 and a mode, and
// in a packet that tells a time a stratum that can be. (The precision says
// nothing: chrony asks with 32.)
func LooksLike(b []byte) bool {
	if len(b) < 12 {
		return false
	}
	version, mode := b[0]>>3&7, b[0]&7
	if version < 1 || version > 4 || mode == 0 {
		return false
	}
	return mode >= 6 || len(b) >= headerLen && b[1] <= 16
}

// Datagram reads one packet.
func (p *Parser) Datagram(out *parse.Out, _ int, b []byte) error {
	if !LooksLike(b) {
		return parse.ErrNot
	}
	n := network.NTP{Session: out.Session, Version: b[0] >> 3 & 7}
	switch b[0] & 7 {
	case 1, 2:
		n.Mode = "symmetric"
	case 3:
		p.ask(out, be.Uint64(b[40:]))
		return nil
	case 4:
		n.Mode = "server"
		n.Offset, n.Delay = p.answer(out, b)
	case 5:
		n.Mode = "broadcast"
	default:
		n.Mode = "control"
		parse.Add(out, &out.Records.NTP, n)
		return nil
	}
	n.Stratum = b[1]
	n.RootDelay = time.Duration(int64(int32(be.Uint32(b[4:])))*int64(time.Second)>>16) / time.Microsecond * time.Microsecond
	n.Reference = reference(out, n.Stratum, b[12:16])
	parse.Add(out, &out.Records.NTP, n)
	return nil
}

// reference is the reference id in text (RFC 5905 section 7.3).
func reference(out *parse.Out, stratum uint8, b []byte) string {
	if stratum < 2 {
		for len(b) > 0 && (b[len(b)-1] == 0 || b[len(b)-1] == ' ') {
			b = b[:len(b)-1]
		}
		return out.Text(b)
	}
	var text [16]byte
	return out.Intern(netip.AddrFrom4([4]byte(b)).AppendTo(text[:0]))
}

func (p *Parser) place(out *parse.Out) (*[ways]request, flow) {
	k := flow{out.Client, out.Server, out.ClientPort, out.VLAN}
	return &p.waiting[maphash.Comparable(p.seed, k)%sets], k
}

// ask puts a request into the table.
func (p *Parser) ask(out *parse.Out, transmit uint64) {
	set, k := p.place(out)
	slot := 0
	for i := range set {
		if set[i].key == k && set[i].transmit == transmit {
			slot = i
			break
		}
		if set[i].at < set[slot].at {
			slot = i
		}
	}
	set[slot] = request{k, transmit, out.Time.UnixNano()}
}

// answer works out offset and delay of the client's clock (RFC 5905 section
// 8). The client's second time is its first and what passed at the tap.
func (p *Parser) answer(out *parse.Out, b []byte) (offset, delay time.Duration) {
	set, k := p.place(out)
	origin := be.Uint64(b[24:])
	for i := range set {
		r := &set[i]
		if r.at == 0 || r.transmit != origin || r.key != k {
			continue
		}
		passed := time.Duration(out.Time.UnixNano() - r.at)
		sent := r.transmit
		*r = request{}
		if passed < 0 || passed > maxWait {
			return 0, 0
		}
		received, answered := be.Uint64(b[32:]), be.Uint64(b[40:])
		processing := between(received, answered)
		if delay = passed - processing; processing < 0 || delay < 0 {
			delay = 0
		}
		offset = between(sent, received)/2 + (between(sent, answered)-passed)/2
		if offset.Abs() > maxOffset {
			offset = 0
		}
		return offset.Round(time.Microsecond), delay.Round(time.Microsecond)
	}
	return 0, 0
}

// between is how long b is after a, in the era in which that is less than 68
// years.
func between(a, b uint64) time.Duration {
	d := int64(b - a)
	seconds, fraction := d>>32, uint64(uint32(d))
	if seconds > math.MaxInt64/int64(time.Second)/4 {
		return math.MaxInt64 / 4
	}
	return time.Duration(seconds)*time.Second + time.Duration(fraction*uint64(time.Second)>>32)
}
