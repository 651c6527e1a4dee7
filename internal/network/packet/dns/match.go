package dns

import (
	"hash/maphash"
	"net/netip"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet"
)

// Question is a question as it was seen, waiting for its answer.
type Question struct {
	Time           int64 // nanoseconds since 1970
	Client, Server packet.Addr
	Port           uint16 // the client's
	Proto          uint8
	ID, Type       uint16
	Via            Via  // what the ports say
	Recursion      bool // RD
	Subnet         Subnet
	Name           Name
}

// Via is the protocol of a message.
type Via uint8

// The protocols that have DNS's form.
const (
	DNS Via = iota
	MDNS
	LLMNR
	NBNS
)

// String returns what network.DNSQuery.Via says.
func (v Via) String() string {
	return [...]string{network.ViaDNS, network.ViaMDNS, network.ViaLLMNR, network.ViaNBNS}[v&3]
}

// Subnet is the client subnet of a question (RFC 7871), without pointers, for
// the table of questions. The zero value is none.
type Subnet struct {
	addr packet.Addr
	bits uint8 // and one more
	is4  bool
}

// Prefix returns it, or none.
func (s Subnet) Prefix() netip.Prefix {
	if s.bits == 0 {
		return netip.Prefix{}
	}
	a := netip.AddrFrom16(bytes16(s.addr))
	if s.is4 {
		a = a.Unmap()
	}
	return netip.PrefixFrom(a, int(s.bits)-1)
}

func asSubnet(p netip.Prefix) Subnet {
	if !p.IsValid() {
		return Subnet{}
	}
	return Subnet{words(p.Addr()), uint8(p.Bits() + 1), p.Addr().Is4()}
}

// AppendName appends the name in text, as the protocol writes it.
func (q *Question) AppendName(dst []byte) []byte {
	if q.Via == NBNS {
		return q.Name.appendNetBIOS(dst)
	}
	return q.Name.AppendText(dst)
}

// flags fills in what the header of the answer says. Of LLMNR and NetBIOS the
// bits mean other things.
func (q *Question) flags(d *network.DNSQuery, answer *Message) {
	d.Truncated = answer.Truncated
	if q.Via == LLMNR {
		return
	}
	d.Authoritative = answer.Authoritative
	if q.Via == DNS {
		d.Recursion = answer.RecursionDesired && answer.RecursionAvailable
		d.Authenticated = answer.Authenticated
	}
}

// Matcher pairs questions with answers in a table of fixed size: sets of
// eight. A question that finds its set full pushes the oldest out, which is
// then reported without an answer. The same question sent again while the
// first waits is the same question.
type Matcher struct {
	emit    func(q *Question, answer *Message, at int64)
	timeout int64
	seed    maphash.Seed
	tags    [][ways]uint32 // 0 is free
	waiting [][ways]Question
	scratch Question
	pushed  uint64
}

const (
	ways           = 8
	defaultPending = 8192
	defaultTimeout = 10 * time.Second
)

// NewMatcher makes a Matcher of the default size. emit is called with each
// question that got its answer (at is the time of the answer), that waited
// for longer than the time-out (answer is nil), and for each answer whose
// question was not seen (the question is then made from the answer, with the
// same time). Neither is valid after the call.
func NewMatcher(emit func(q *Question, answer *Message, at int64)) *Matcher {
	return &Matcher{
		emit: emit, timeout: int64(defaultTimeout), seed: maphash.MakeSeed(),
	}
}

// Pushed returns how many questions a full set pushed out.
func (m *Matcher) Pushed() uint64 { return m.pushed }

// hashed is what an answer must share with its question, apart from the name.
type hashed struct {
	client, server packet.Addr
	port, id       uint16
	proto          uint8
}

func (m *Matcher) find(q *Question) (set int, tag uint32) {
	k := hashed{q.Client, q.Server, q.Port, q.ID, q.Proto}
	if q.Via != DNS {
		k.server = packet.Addr{} // who is asked by multicast answers from an address of its own
	}
	h := maphash.Comparable(m.seed, k)
	return int(h % uint64(len(m.tags))), uint32(h>>32) | 1
}

// Add takes a message that was sent at time now. from and to are its
// endpoints as the packet has them.
func (m *Matcher) Add(now int64, from, to packet.Addr, fromPort, toPort uint16, proto uint8, msg *Message) {
	m.add(now, from, to, fromPort, toPort, proto, via(fromPort, toPort), msg)
}

func (m *Matcher) add(now int64, from, to packet.Addr, fromPort, toPort uint16, proto uint8, via Via, msg *Message) {
	if m.tags == nil { // the first message
		m.tags, m.waiting = make([][ways]uint32, defaultPending/ways), make([][ways]Question, defaultPending/ways)
	}
	q := &m.scratch
	q.Via = via
	q.Time, q.Client, q.Server, q.Port, q.Proto, q.ID, q.Type = now, from, to, fromPort, proto, msg.ID, msg.Type
	if msg.Response {
		q.Client, q.Server, q.Port = to, from, toPort
	}
	set, tag := m.find(q)
	tags, waiting := &m.tags[set], &m.waiting[set]
	slot := 0
	for i, t := range tags {
		if t == tag && waiting[i].answeredBy(q, msg) {
			if msg.Response {
				tags[i] = 0
				waiting[i].Server = q.Server
				m.emit(&waiting[i], msg, now)
			}
			return
		}
		if tags[slot] != 0 && (t == 0 || waiting[i].Time < waiting[slot].Time) {
			slot = i
		}
	}
	if msg.Response {
		if msg.Questions > 0 || q.Via != DNS && msg.First() == nil {
			q.Type, q.Recursion, q.Subnet = msg.Type, false, Subnet{}
			q.Name.set(&msg.Name)
			m.emit(q, msg, now)
		}
		return
	}
	w := &waiting[slot]
	if tags[slot] != 0 {
		m.pushed++
		m.emit(w, nil, 0)
	}
	tags[slot] = tag
	w.Time, w.Client, w.Server, w.Port, w.Proto, w.ID, w.Type = now, q.Client, q.Server, q.Port, q.Proto, q.ID, q.Type
	w.Via, w.Recursion, w.Subnet = q.Via, msg.RecursionDesired, asSubnet(msg.Subnet())
	w.Name.set(&msg.Name)
}

// answeredBy reports whether msg, from and to the endpoints of o, belongs to q:
// an answer must repeat the question, unless it repeats none.
func (q *Question) answeredBy(o *Question, msg *Message) bool {
	if q.ID != o.ID || q.Port != o.Port || q.Proto != o.Proto || q.Client != o.Client || q.Via != o.Via {
		return false
	}
	if q.Server != o.Server && q.Via == DNS {
		return false
	}
	if msg.Questions == 0 {
		return true
	}
	return q.Type == msg.Type && q.Name.Equal(&msg.Name)
}

// Expire reports the questions that have waited too long by now.
func (m *Matcher) Expire(now int64) { m.sweep(now - m.timeout) }

// Flush reports every question that still waits.
func (m *Matcher) Flush() { m.sweep(1<<63 - 1) }

func (m *Matcher) sweep(before int64) {
	for s := range m.tags {
		for i, t := range m.tags[s] {
			if q := &m.waiting[s][i]; t != 0 && q.Time <= before {
				m.tags[s][i] = 0
				m.emit(q, nil, 0)
			}
		}
	}
}
