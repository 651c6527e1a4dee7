package pipeline

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/tls"
)

const (
	dnsPort   = 53
	tcpProbes = 16 // payloads of a TCP flow that are looked at for what it is
	udpProbes = 4
	dnsProbes = 8 // on port 53, until one is DNS
)

// What Record.Parser says.
const (
	parserNone = iota
	parserTLS
)

// payload looks into the payload of the packet in hand.
func (p *Pipeline) payload(r *flow.Record, side int) {
	onDNS := p.pkt.SrcPort == dnsPort || p.pkt.DstPort == dnsPort
	switch network.Proto(p.pkt.Proto) {
	case network.UDP:
		if onDNS {
			p.dnsDatagram(r)
			return
		}
		p.probeUDP(r)
	case network.TCP:
		// A fragment's payload is not the segment's.
		switch {
		case p.pkt.Fragment:
		case onDNS:
			p.dnsSegment(r, side)
		case r.Parser == parserTLS:
			p.tlsSegment(r, side)
		default:
			p.probeTCP(r, side)
		}
	default:
		r.Done = true
	}
}

// probe counts a payload that was looked at, and says when it was the last.
func probe(r *flow.Record, most uint8) {
	if r.Probes++; r.Probes >= most {
		r.Done = true
	}
}

// probeUDP knows QUIC by a long header of version 1, 2 or a draft (RFC 9000
// section 17.2, RFC 9369).
func (p *Pipeline) probeUDP(r *flow.Record) {
	b := p.pkt.Payload
	if len(b) >= 7 && b[0]&0xc0 == 0xc0 {
		if v := binary.BigEndian.Uint32(b[1:]); v == 1 || v == 0x6b3343cf || v>>8 == 0xff0000 {
			r.App, r.Done = flow.AppQUIC, true
			return
		}
	}
	probe(r, udpProbes)
}

// probeTCP finds out what a TCP flow carries.
func (p *Pipeline) probeTCP(r *flow.Record, side int) {
	b := p.pkt.Payload
	handshake, client := tls.LooksLike(b)
	switch {
	case client:
		p.tlsBegin(r, side)
	case handshake:
		r.App, r.Done = flow.AppTLS, true
	case bytes.HasPrefix(b, []byte("SSH-")):
		r.App, r.Done = flow.AppSSH, true
	case isHTTP(b):
		r.App, r.Done = flow.AppHTTP, true
	default:
		probe(r, tcpProbes)
	}
}

// isHTTP reports whether b begins like an HTTP/1 request or answer.
func isHTTP(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	if b[0] == 'H' && b[1] == 'T' {
		return string(b[:7]) == "HTTP/1."
	}
	for _, m := range [...]string{"GET ", "POST ", "HEAD ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "CONNECT "} {
		if b[0] == m[0] && len(b) >= len(m) && string(b[:len(m)]) == m {
			return true
		}
	}
	return false
}

// seq is the sequence number of the first payload byte.
func (p *Pipeline) seq() uint32 {
	if p.pkt.TCPFlags&packet.SYN != 0 {
		return p.pkt.Seq + 1
	}
	return p.pkt.Seq
}

// tlsBegin reads a ClientHello that is in one segment, or begins to put it
// together.
func (p *Pipeline) tlsBegin(r *flow.Record, side int) {
	err := p.hello.Parse(p.pkt.Payload)
	if !errors.Is(err, tls.ErrMore) {
		p.tlsEnd(r, err)
		return
	}
	if r.Handle == 0 {
		r.Handle = p.streams.open()
	}
	r.App, r.Parser = flow.AppTLS, parserTLS
	p.tlsSegment(r, side)
}

// tlsSegment adds a segment to the ClientHello.
func (p *Pipeline) tlsSegment(r *flow.Record, side int) {
	if r.Handle == 0 {
		p.counters.StreamsRefused++
		r.Done = true
		return
	}
	st := p.streams.get(r.Handle)
	s := &st.sides[side]
	if !s.started && st.segments > 0 {
		return // the other side
	}
	b := s.inOrder(p.seq(), p.pkt.Payload)
	if len(b) == 0 && !s.lost && !st.dead {
		return
	}
	st.touched = p.pkt.Time
	st.segments++
	switch {
	case st.dead:
	case s.lost:
		p.counters.StreamGaps++
	case !p.streams.keep(s, b) && s.size < blockSize:
		p.counters.StreamsRefused++
	default:
		kept := p.streams.kept(s)
		err := tls.ErrMore
		if len(kept) >= tls.Need(kept) || len(kept) == blockSize {
			err = p.hello.Parse(kept)
		}
		if !errors.Is(err, tls.ErrMore) {
			p.tlsEnd(r, err)
			return
		}
		if len(kept) < blockSize && st.segments < maxSegments {
			return
		}
		p.counters.TLSMalformed++
	}
	p.close(r)
}

// tlsEnd keeps the ClientHello when it was read, and looks no further.
func (p *Pipeline) tlsEnd(r *flow.Record, err error) {
	if err != nil {
		p.counters.TLSMalformed++
	} else {
		r.App = flow.AppTLS
		p.keepTLS()
	}
	p.close(r)
}

// close ends the inspection of a flow.
func (p *Pipeline) close(r *flow.Record) {
	r.Done = true
	if r.Handle != 0 {
		p.streams.release(r.Handle)
		r.Handle = 0
	}
}
