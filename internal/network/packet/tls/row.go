package tls

import (
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// maxVersions is how many of the versions offered are named.
const maxVersions = 8

// Fill puts what a ClientHello offers into a row. It is for QUIC, too, whose
// ClientHello is the same.
func (p *Printer) Fill(out *parse.Out, row *network.TLSHello, h *Hello, transport byte) {
	row.Version, row.SNI = h.Version, out.Lower(h.SNI)
	for _, name := range h.ALPN[:h.NumALPN] {
		row.ALPN = out.Append(row.ALPN, out.Text(name))
	}
	if p.memory != nil && p.memory.client(h, transport) {
		s := p.fill(out, h, transport)
		row.Offered, row.JA3, row.JA4 = s.offers, s.text, s.four
		return
	}
	p.text = h.appendVersions(p.text[:0])
	row.Offered = out.Intern(p.text)
	row.JA3 = out.Intern(p.JA3(h))
	row.JA4 = out.Intern(p.JA4(h, transport))
}

// appendVersions names the versions that are offered, in order, without
// GREASE.
func (h *Hello) appendVersions(b []byte) []byte {
	n := 0
	for list := h.versions; len(list) >= 2 && n < maxVersions; list = list[2:] {
		v := be.Uint16(list)
		if grease(v) {
			continue
		}
		if n++; n > 1 {
			b = append(b, ',')
		}
		b = appendVersion(b, v)
	}
	if n == 0 {
		return appendVersion(b, h.legacy)
	}
	return b
}

func appendVersion(b []byte, v uint16) []byte {
	switch {
	case v == 0x0300:
		return append(b, "ssl3"...)
	case v > 0x0300 && v <= 0x0304:
		return append(b, '1', '.', byte('0'+v-0x0301))
	case v>>8 == 0x7f:
		return append(append(b, "1.3-draft"...), byte('0'+v&0xff/10%10), byte('0'+v&0xff%10))
	}
	return append(b, '0', 'x', digits[v>>12], digits[v>>8&15], digits[v>>4&15], digits[v&15])
}
