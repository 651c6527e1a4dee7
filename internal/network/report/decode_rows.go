package report

import (
	"math"
	"net/netip"
	"time"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rind-project/rind/internal/network"
)

// cursor walks over one packed column. An absent column is all zero.
type cursor struct {
	b       []byte
	pos     int
	present bool
	bad     bool // cut off, or over a limit: stays
}

// next returns the next value, which must not be over limit. Most values have
// one byte.
func (c *cursor) next(limit uint64) uint64 {
	if c.pos < len(c.b) {
		if v := uint64(c.b[c.pos]); v <= min(limit, 0x7f) {
			c.pos++
			return v
		}
	}
	return c.long(limit)
}

// long is next of everything but a value of one byte within the limit.
func (c *cursor) long(limit uint64) uint64 {
	if !c.present {
		return 0
	}
	v, n := protowire.ConsumeVarint(c.b[c.pos:])
	if n < 0 {
		c.pos, c.bad = len(c.b), true
		return 0
	}
	c.pos += n
	c.bad = c.bad || v > limit
	return v
}

// index is next of a value that is a place in a list of n; one outside is bad
// and 0.
func (c *cursor) index(n int) int {
	if v := c.next(uint64(n - 1)); v < uint64(n) {
		return int(v)
	}
	return 0
}

// left reports whether there are further values.
func (c *cursor) left() bool { return c.pos < len(c.b) }

func (c *cursor) signed() int64 { return protowire.DecodeZigZag(c.next(math.MaxUint64)) }

// columns reads the count and the columns of a message into cs.
func (p *parser) columns(kind string, b []byte, cs []cursor) (rows int, err error) {
	err = fields(b, func(n protowire.Number, v uint64, b []byte) error {
		switch c := int(n - firstColumn); {
		case n == fieldCount && v > uint64(p.limits.Rows):
			return tooLarge("%d %s, at most %d are taken", v, kind, p.limits.Rows)
		case n == fieldCount:
			rows = int(v)
		case c >= 0 && c < len(cs):
			cs[c] = cursor{b: b, present: len(b) > 0}
		}
		return nil
	})
	// A row has a time of its own, hence a byte at least in the first column.
	if err == nil && rows > 0 && len(cs[0].b) > 0 && len(cs[0].b) < rows {
		return 0, invalid("%d %s are announced, the column ends before", rows, kind)
	}
	return rows, err
}

// finish reports whether every column ended well and exactly.
func (p *parser) finish(kind string, cs []cursor) error {
	if p.err != nil {
		return p.err
	}
	for i := range cs {
		if cs[i].bad {
			return invalid("column %d of the %s is cut off, or a value in it is out of range", i, kind)
		}
		if cs[i].left() {
			return invalid("column %d of the %s has more values than there are rows", i, kind)
		}
	}
	return nil
}

func (p *parser) dns(b []byte) error {
	var cs [dnsColumns]cursor
	rows, err := p.columns("DNS queries", b, cs[:])
	if err != nil || rows == 0 {
		return err
	}
	if !p.take(rows * int(unsafe.Sizeof(network.DNSQuery{}))) {
		return p.err
	}
	out := make([]network.DNSQuery, rows)
	addrs, names := p.lastAddr(), p.lastName()
	var at int64
	for i := range out {
		q := &out[i]
		at += cs[dnsTime].signed()
		q.Time = micros(at)
		q.Client = p.addr(cs[dnsClient].next(addrs))
		q.Server = p.addr(cs[dnsServer].next(addrs))
		q.Port = uint16(cs[dnsPort].next(math.MaxUint16))
		q.Proto = network.Proto(cs[dnsProto].next(math.MaxUint8))
		q.Name = p.name(cs[dnsName].next(names))
		q.Type = uint16(cs[dnsType].next(math.MaxUint16))
		q.Answered = cs[dnsAnswered].next(1) == 1
		q.RCode = uint8(cs[dnsRCode].next(math.MaxUint8))
		q.Latency = latency(&cs[dnsLatency])
		q.Answers = p.list(&cs[dnsAnswers], &cs[dnsAnswer], MaxAnswers)
		q.Via = dnsVias[cs[dnsVia].index(len(dnsVias))]
		q.Domain = p.name(cs[dnsDomain].next(names))
		q.Entropy = uint16(cs[dnsEntropy].next(math.MaxUint16))
		flags := cs[dnsFlags].next(dnsAllFlags)
		q.Authoritative, q.Truncated = flags&dnsAuthoritative != 0, flags&dnsTruncated != 0
		q.Recursion, q.Authenticated = flags&dnsRecursion != 0, flags&dnsAuthenticated != 0
		q.Subnet = p.name(cs[dnsSubnet].next(names))
	}
	p.out.DNS = out
	return p.finish("DNS queries", cs[:])
}

func (p *parser) tls(b []byte) error {
	var cs [tlsColumns]cursor
	rows, err := p.columns("TLS hellos", b, cs[:])
	if err != nil || rows == 0 {
		return err
	}
	if !p.take(rows * int(unsafe.Sizeof(network.TLSHello{}))) {
		return p.err
	}
	out := make([]network.TLSHello, rows)
	addrs, names := p.lastAddr(), p.lastName()
	var at int64
	for i := range out {
		h := &out[i]
		at += cs[tlsTime].signed()
		h.Time = micros(at)
		h.Client = p.addr(cs[tlsClient].next(addrs))
		h.Server = p.addr(cs[tlsServer].next(addrs))
		h.SrcPort = uint16(cs[tlsSrcPort].next(math.MaxUint16))
		h.DstPort = uint16(cs[tlsDstPort].next(math.MaxUint16))
		h.SNI = p.name(cs[tlsSNI].next(names))
		h.Version = uint16(cs[tlsVersion].next(math.MaxUint16))
		h.ALPN = p.list(&cs[tlsALPNs], &cs[tlsALPN], MaxALPN)
		h.Proto = network.Proto(cs[tlsProto].next(math.MaxUint8)) ^ network.TCP
		p.tlsRest(h, &cs, names)
	}
	p.out.TLS = out
	return p.finish("TLS hellos", cs[:])
}

// tlsRest reads what the server of a handshake said, and the fingerprints.
func (p *parser) tlsRest(h *network.TLSHello, cs *[tlsColumns]cursor, names uint64) {
	text := func(column int) string { return p.name(cs[column].next(names)) }
	h.Offered = text(tlsOffered)
	h.Chosen = uint16(cs[tlsChosen].next(math.MaxUint16))
	h.Cipher = uint16(cs[tlsCipher].next(math.MaxUint16))
	h.Protocol = text(tlsProtocol)
	h.Resumed = cs[tlsResumed].next(1) == 1
	h.Alert = text(tlsAlert)
	h.JA3, h.JA3S, h.JA4 = text(tlsJA3), text(tlsJA3S), text(tlsJA4)
	h.Subject, h.Issuer = text(tlsSubject), text(tlsIssuer)
	h.Names = p.list(&cs[tlsNames], &cs[tlsName], MaxCertNames)
	h.NotBefore, h.NotAfter = second(&cs[tlsNotBefore]), second(&cs[tlsNotAfter])
	h.Serial, h.Fingerprint = text(tlsSerial), text(tlsFingerprint)
}

// second reads a time of a certificate: 0 is none, and none is before the
// year 1 or after the year 9999.
func second(c *cursor) time.Time {
	s := c.signed()
	if s == 0 {
		return time.Time{}
	}
	if s < -62135596800 || s > 253402300799 {
		c.bad = true
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

// latency reads a duration that must not overflow one of nanoseconds.
func latency(c *cursor) time.Duration {
	us := c.signed()
	if us < 0 || us > maxLatency.Microseconds() {
		c.bad = c.present
		return 0
	}
	return time.Duration(us) * time.Microsecond
}

func (p *parser) list(lengths, elements *cursor, limit uint64) []string {
	n := lengths.next(limit)
	if n == 0 || lengths.bad || elements.bad || !p.take(int(n)*int(unsafe.Sizeof(""))) {
		return nil
	}
	out := make([]string, n)
	for i := range out {
		out[i] = p.name(elements.next(p.lastName()))
	}
	return out
}

func (p *parser) lastAddr() uint64 { return uint64(len(p.v4)/4 + len(p.v6)/16) }
func (p *parser) lastName() uint64 { return uint64(len(p.names) - 1) }

// addr returns an address of the dictionary, or none when the index is out of
// range, which the cursor remembers.
func (p *parser) addr(i uint64) netip.Addr {
	if n := uint64(len(p.v4) / 4); i > n {
		if i -= n; i > uint64(len(p.v6)/16) {
			return netip.Addr{}
		}
		return netip.AddrFrom16([16]byte(p.v6[16*i-16:]))
	}
	if i == 0 {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(p.v4[4*i-4:]))
}

func (p *parser) mac(i uint64) [6]byte {
	if i == 0 || i > uint64(len(p.macs)/6) {
		return [6]byte{}
	}
	return [6]byte(p.macs[6*i-6:])
}

func (p *parser) name(i uint64) string {
	if i > p.lastName() {
		return ""
	}
	return p.names[i]
}
