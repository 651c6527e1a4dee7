package pipeline

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/dns"
)

const (
	maxInterned  = 262144 // bounds the map of texts
	maxKeptTexts = 32768
)

// texts makes strings of the names in packets, equal ones once per report,
// and stops at a number of bytes.
type texts struct {
	seen map[string]string
	left int
	max  int
	buf  []byte
}

func newTexts(limit int) texts {
	return texts{seen: map[string]string{}, left: limit, max: limit}
}

// clear begins a new report. A map that an odd report made large is not kept.
func (t *texts) clear() {
	t.left = t.max
	if len(t.seen) > maxKeptTexts {
		t.seen = map[string]string{}
		return
	}
	clear(t.seen)
}

func (t *texts) text(b []byte) (string, bool) {
	if s, ok := t.seen[string(b)]; ok {
		return s, true
	}
	if len(b) > t.left || len(t.seen) >= maxInterned {
		return "", false
	}
	s := string(b)
	t.left -= len(b)
	t.seen[s] = s
	return s, true
}

// printable is text for bytes that should be ASCII: what is not printable, and
// the backslash, becomes \DDD.
func (t *texts) printable(b []byte, lower bool) (string, bool) {
	t.buf = t.buf[:0]
	for _, c := range b {
		switch {
		case c <= ' ' || c >= 0x7f || c == '\\':
			t.buf = append(t.buf, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
		case lower && 'A' <= c && c <= 'Z':
			t.buf = append(t.buf, c+'a'-'A')
		default:
			t.buf = append(t.buf, c)
		}
	}
	return t.text(t.buf)
}

func addr(a packet.Addr) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], a.Hi)
	binary.BigEndian.PutUint64(b[8:], a.Lo)
	return netip.AddrFrom16(b).Unmap()
}

// keepDNS puts a question into the report, with its answer when it has one.
// A full report keeps what it has: the earliest.
func (p *Pipeline) keepDNS(q *dns.Question, answer *dns.Message, at int64) {
	if len(p.dns) >= p.cfg.MaxDNS {
		p.counters.DNSOver++
		return
	}
	p.texts.buf = q.Name.AppendText(p.texts.buf[:0])
	name, ok := p.texts.text(p.texts.buf)
	d := network.DNSQuery{
		Time: time.Unix(0, q.Time).UTC(), Client: addr(q.Client), Server: addr(q.Server), Port: q.Port,
		Proto: network.Proto(q.Proto), Name: name, Type: q.Type,
	}
	if answer != nil {
		d.Answered, d.RCode, d.Latency = true, answer.RCode, time.Duration(max(0, at-q.Time))
		answer.Answers(func(text []byte) {
			s, fits := p.texts.text(text)
			ok = ok && fits
			d.Answers = append(d.Answers, s)
		})
	}
	if !ok {
		p.counters.DNSOver++
		return
	}
	p.dns = append(p.dns, d)
}

// keepTLS puts the ClientHello in hand into the report.
func (p *Pipeline) keepTLS() {
	if len(p.tls) >= p.cfg.MaxTLS {
		p.counters.TLSOver++
		return
	}
	k, h := &p.pkt, &p.hello
	sni, ok := p.texts.printable(h.SNI, true)
	t := network.TLSHello{
		Time: time.Unix(0, k.Time).UTC(), Client: addr(k.Src), Server: addr(k.Dst),
		SrcPort: k.SrcPort, DstPort: k.DstPort, SNI: sni, Version: h.Version,
	}
	for _, name := range h.ALPN[:h.NumALPN] {
		s, fits := p.texts.printable(name, false)
		ok = ok && fits
		t.ALPN = append(t.ALPN, s)
	}
	if !ok {
		p.counters.TLSOver++
		return
	}
	p.tls = append(p.tls, t)
}
