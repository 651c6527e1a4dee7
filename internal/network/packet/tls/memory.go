package tls

import (
	"crypto/sha256"
	"hash/maphash"
	"slices"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

const (
	remembered       = 256  // hellos; two that want the same place push each other out
	rememberedLeaves = 1024 // certificates, likewise
	maxKey           = 1024 // bytes of lists that the prints of one are made of
	maxKinds         = 256  // extensions, likewise
)

// Memory remembers the fingerprints of hellos. A program says the same in each
// of its hellos, but for its GREASE, and there are few programs: most hashes
// have been made before. It belongs to one goroutine and to one parse.Out, whose
// streams share it.
type Memory struct {
	seed   maphash.Seed
	key    []byte // of the hello in hand
	slots  [remembered]prints
	leaves [rememberedLeaves]leaf
}

// leaf is what a certificate says in the texts of a report.
type leaf struct {
	sum                                  [sha256.Size]byte
	report                               uint64
	subject, issuer, serial, fingerprint string
	names                                []string
	from, to                             time.Time
}

func (l *leaf) keep(row *network.TLSHello, sum [sha256.Size]byte, report uint64) {
	*l = leaf{sum, report, row.Subject, row.Issuer, row.Serial, row.Fingerprint, slices.Clip(row.Names), row.NotBefore, row.NotAfter}
}

func (l *leaf) tell(row *network.TLSHello) {
	row.Subject, row.Issuer, row.Serial, row.Fingerprint = l.subject, l.issuer, l.serial, l.fingerprint
	row.Names, row.NotBefore, row.NotAfter = l.names, l.from, l.to
}

// NewMemory makes an empty memory.
func NewMemory() *Memory { return &Memory{seed: maphash.MakeSeed()} }

// NewStream makes a stream whose fingerprints are remembered.
func (m *Memory) NewStream() parse.Stream { return &Stream{print: Printer{memory: m}} }

// NewPrinter makes a printer that remembers.
func (m *Memory) NewPrinter() Printer { return Printer{memory: m} }

// prints are what is made of all hellos with one key, as bytes, and as texts
// of the report in which they were last told.
type prints struct {
	key                []byte
	offered, ja3, ja4  []byte
	report             uint64
	offers, text, four string
}

// slot is where the prints of the key in hand are remembered, and whether they
// are.
func (m *Memory) slot() (p *prints, known bool) {
	p = &m.slots[maphash.Bytes(m.seed, m.key)%remembered]
	return p, len(p.key) > 0 && string(p.key) == string(m.key)
}

// take makes the slot that of the key in hand.
func (m *Memory) take(p *prints) {
	*p = prints{key: append(p.key[:0], m.key...), offered: p.offered[:0], ja3: p.ja3[:0], ja4: p.ja4[:0]}
}

// client makes the key of all that JA3, JA4 and the versions offered are made
// of. It reports false for a hello that lists too much.
func (m *Memory) client(h *Hello, transport byte) bool {
	if len(h.ciphers)+len(h.groups)+len(h.formats)+len(h.algorithms)+len(h.versions) > maxKey {
		return false
	}
	b := append(m.key[:0], transport, byte(h.legacy>>8), byte(h.legacy), byte(h.Version>>8), byte(h.Version))
	for _, list := range [...][]byte{h.ciphers, h.groups, h.algorithms, h.versions} {
		b = sensible(b, list)
	}
	// JA4 tells a list of nothing but GREASE from none.
	b = append(b, byte(min(len(h.algorithms), 2)), byte(len(h.formats)))
	b = append(b, h.formats...)
	b = append(b, byte(h.NumALPN))
	if h.NumALPN > 0 {
		name := h.ALPN[0]
		b = append(b, name[0], name[len(name)-1])
	}
	var ok bool
	m.key, ok = kinds(b, h.extensions, true)
	return ok
}

// server makes the key of what JA3S is made of.
func (m *Memory) server(s *serverHello) bool {
	b := append(m.key[:0], 's', byte(s.legacy>>8), byte(s.legacy), byte(s.cipher>>8), byte(s.cipher))
	var ok bool
	m.key, ok = kinds(b, s.extensions, false)
	return ok
}

// sensible appends the values of a list without GREASE, behind their length:
// what two hellos have the same key of must be the same.
func sensible(b, list []byte) []byte {
	at := len(b)
	b = append(b, 0, 0)
	for ; len(list) >= 2; list = list[2:] {
		if !grease(be.Uint16(list)) {
			b = append(b, list[0], list[1])
		}
	}
	be.PutUint16(b[at:], uint16(len(b)-at-2))
	return b
}

// kinds appends the types of extensions, which end the key, without GREASE if
// told so. It reports false when there are too many.
func kinds(b, list []byte, plain bool) ([]byte, bool) {
	n := 0
	for typ := range extensions(list) {
		if n++; n > maxKinds {
			return b, false
		}
		if !plain || !grease(typ) {
			b = append(b, byte(typ>>8), byte(typ))
		}
	}
	return b, true
}

// fill makes a row's texts of what is remembered of a hello.
func (p *Printer) fill(out *parse.Out, h *Hello, transport byte) *prints {
	m := p.memory
	s, known := m.slot()
	if !known {
		m.take(s)
		s.offered = h.appendVersions(s.offered)
		s.ja3 = append(s.ja3, p.JA3(h)...)
		s.ja4 = append(s.ja4, p.JA4(h, transport)...)
	}
	if s.report != out.Report() {
		s.report = out.Report()
		s.offers, s.text, s.four = out.Intern(s.offered), out.Intern(s.ja3), out.Intern(s.ja4)
		if s.offers == "" || s.text == "" || s.four == "" { // no room for texts in this report
			s.report = 0
		}
	}
	return s
}

// serverPrint is ja3s of what is remembered, valid until the next call.
func (p *Printer) serverPrint(s *serverHello) []byte {
	if p.memory == nil || !p.memory.server(s) {
		return p.ja3s(s)
	}
	slot, known := p.memory.slot()
	if !known {
		p.memory.take(slot)
		slot.ja3 = append(slot.ja3, p.ja3s(s)...)
	}
	return slot.ja3
}
