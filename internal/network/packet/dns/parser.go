package dns

import (
	"net/netip"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// The ports of DNS and of what has its form.
const (
	Port      = 53
	PortNBNS  = 137  // RFC 1002
	PortMDNS  = 5353 // RFC 6762
	PortLLMNR = 5355 // RFC 4795
)

// maxAsked is how many questions of one multicast message are kept.
const maxAsked = 16

// Parser reads DNS, mDNS, LLMNR and NBNS, over UDP and TCP, and pairs
// questions with answers. One serves all flows of a pipeline. It appends to
// parse.Out.DNS.
type Parser struct {
	matcher *Matcher
	message Message
	counts  Counts
	out     *parse.Out // of the call in hand
	cutting bool       // the call is Cut, whose rows are of several protocols
	about   map[string]about
	buf     []byte
}

// Counts are what a Parser saw and did not keep, since it was made.
type Counts struct {
	Opcodes uint64 // messages that are no queries: updates, notifications, NetBIOS registrations …
	Pushed  uint64 // questions reported without an answer, because too many waited
}

// about is what is said of a name, worked out once per report.
type about struct {
	name    string // in the report
	domain  string
	entropy uint16
}

const maxAbout = 65536

var (
	_ parse.Datagrams = (*Parser)(nil)
	_ parse.Cutter    = (*Parser)(nil)
	_ parse.Stream    = (*Stream)(nil)
)

// New makes a Parser and reserves its table.
func New() *Parser {
	p := &Parser{about: map[string]about{}}
	p.matcher = NewMatcher(p.keep)
	return p
}

// Counts returns what was counted.
func (p *Parser) Counts() Counts {
	p.counts.Pushed = p.matcher.Pushed()
	return p.counts
}

// Datagram reads one message.
func (p *Parser) Datagram(out *parse.Out, side int, b []byte) error {
	s := &out.Session
	from, to, fromPort, toPort := s.Client, s.Server, s.ClientPort, s.ServerPort
	if side == parse.Server {
		from, to, fromPort, toPort = to, from, toPort, fromPort
	}
	return p.read(out, from, to, fromPort, toPort, b)
}

// via is the protocol that the ports say.
func via(a, b uint16) Via {
	switch {
	case a == PortMDNS || b == PortMDNS:
		return MDNS
	case a == PortLLMNR || b == PortLLMNR:
		return LLMNR
	case a == PortNBNS || b == PortNBNS:
		return NBNS
	}
	return DNS
}

// read takes a message.
func (p *Parser) read(out *parse.Out, from, to netip.Addr, fromPort, toPort uint16, b []byte) error {
	m := &p.message
	if err := m.Parse(b); err != nil {
		if !LooksLike(b) {
			return parse.ErrNot
		}
		return parse.ErrMalformed
	}
	if m.Opcode != 0 {
		p.counts.Opcodes++
		return nil
	}
	p.out = out
	v := via(fromPort, toPort)
	if v == MDNS && fromPort == PortMDNS && toPort == PortMDNS {
		p.multicast(out, from, to)
	} else {
		// Who is asked by multicast or broadcast answers from an address of its own.
		p.matcher.add(out.Time.UnixNano(), words(from), words(to), fromPort, toPort, uint8(out.Proto), v, m)
	}
	p.out = nil
	return nil
}

// multicast keeps the questions of a message to everybody, and what it says
// without being asked, each as a row (RFC 6762 sections 5 and 6).
func (p *Parser) multicast(out *parse.Out, from, to netip.Addr) {
	m := &p.message
	q := &Question{Time: out.Time.UnixNano(), Client: words(from), Server: words(to), Port: PortMDNS, Proto: uint8(out.Proto), Via: MDNS}
	if m.Response {
		if m.First() == nil {
			q.Type = m.Type
			q.Name.set(&m.Name)
			p.keep(q, m, q.Time)
		}
		return
	}
	off := headerLen
	for i := 0; i < m.Questions && i < maxAsked; i++ {
		next, err := q.Name.read(m.body, off)
		if err != nil || next+4 > len(m.body) {
			return
		}
		q.Type = be.Uint16(m.body[next:])
		off = next + 4
		p.keep(q, nil, 0)
	}
}

// Cut reports the questions that waited too long by end, or all.
func (p *Parser) Cut(out *parse.Out, end time.Time, last bool) {
	p.out, p.cutting = out, true
	if last {
		p.matcher.Flush()
	} else {
		p.matcher.Expire(end.UnixNano())
	}
	p.out, p.cutting = nil, false
	clear(p.about)
}

// keep puts a question into the report, with its answer when it has one.
func (p *Parser) keep(q *Question, answer *Message, at int64) {
	out := p.out
	p.buf = q.AppendName(p.buf[:0])
	d := network.DNSQuery{
		Time: time.Unix(0, q.Time).UTC(), Client: addr(q.Client), Server: addr(q.Server), Port: q.Port,
		Proto: network.Proto(q.Proto), Type: q.Type, Via: q.Via.String(),
	}
	a := p.of(p.buf, q.Via)
	d.Name, d.Domain, d.Entropy = a.name, a.domain, a.entropy
	if s := q.Subnet.Prefix(); s.IsValid() {
		p.buf = s.AppendTo(p.buf[:0])
		d.Subnet = out.Intern(p.buf)
	}
	if answer != nil {
		d.Answered, d.RCode, d.Latency = true, answer.RCode, time.Duration(max(0, at-q.Time))
		q.flags(&d, answer)
		visit := func(text []byte) { d.Answers = out.Append(d.Answers, out.Intern(text)) }
		if q.Via == NBNS {
			answer.NetBIOS(visit)
		} else {
			answer.Answers(visit)
		}
	}
	if p.cutting {
		out.As(d.Via)
	}
	parse.Add(out, &out.DNS, d)
}

// of returns what is said of a name.
func (p *Parser) of(text []byte, via Via) about {
	if a, ok := p.about[string(text)]; ok {
		return a
	}
	name := p.out.Intern(text)
	a := about{name: name, entropy: Entropy(name)}
	if via == DNS {
		a.domain = Domain(name)
	}
	if len(p.about) < maxAbout && name != "" {
		p.about[name] = a
	}
	return a
}

func words(a netip.Addr) packet.Addr {
	b := a.As16()
	return packet.Addr{Hi: be.Uint64(b[:8]), Lo: be.Uint64(b[8:])}
}

func bytes16(a packet.Addr) (b [16]byte) {
	be.PutUint64(b[:8], a.Hi)
	be.PutUint64(b[8:], a.Lo)
	return b
}

func addr(a packet.Addr) netip.Addr { return netip.AddrFrom16(bytes16(a)).Unmap() }
