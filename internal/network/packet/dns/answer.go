package dns

import (
	"net/netip"
	"strconv"
)

// The record types whose data the answers show.
const (
	typeA      = 1
	typeNS     = 2
	typeCNAME  = 5
	typeSOA    = 6
	typePTR    = 12
	typeMX     = 15
	typeTXT    = 16
	typeAAAA   = 28
	typeNB     = 32 // NBNS (RFC 1002 section 4.2.1.2); NIMLOC elsewhere
	typeNBSTAT = 33 // NBNS; SRV elsewhere
	typeSRV    = 33
	typeDNAME  = 39
	typeOPT    = 41
	typeSVCB   = 64
	typeHTTPS  = 65
)

const (
	maxShort  = 128 // bytes of data that is not a name or an address
	optSubnet = 8   // RFC 7871
)

// Answers calls visit with the text of each record in the answer section whose
// type is known, MaxAnswers at most, in the message's order: addresses, names,
// and the data of MX, SRV, SOA, TXT, SVCB and HTTPS as zone files write it,
// cut when long. The text is only valid during the call. It stops at the first
// record that is not whole.
func (m *Message) Answers(visit func(text []byte)) { m.visit(false, visit) }

// NetBIOS is Answers of a message of the NetBIOS name service (RFC 1002).
func (m *Message) NetBIOS(visit func(text []byte)) { m.visit(true, visit) }

func (m *Message) visit(netbios bool, visit func(text []byte)) {
	if m.at == 0 {
		return
	}
	text := &m.text
	var name Name
	off, kept := m.at, 0
	for i := 0; i < m.answers && i < maxRecords && kept < MaxAnswers; i++ {
		if off = skip(m.body, off); off == 0 || off+10 > len(m.body) {
			return
		}
		typ, size := be.Uint16(m.body[off:]), int(be.Uint16(m.body[off+8:]))
		off += 10
		if off+size > len(m.body) {
			return
		}
		if netbios {
			kept += netbiosData(typ, m.body[off:off+size], text[:0], MaxAnswers-kept, visit)
		} else if t := m.data(typ, off, size, &name, text[:0]); len(t) > 0 {
			visit(t)
			kept++
		}
		off += size
	}
}

// First reads owner and type of the first answer into Name and Type, for a
// message that repeats no question.
func (m *Message) First() error {
	if m.at == 0 || m.answers == 0 {
		return ErrNothing
	}
	off, err := m.Name.read(m.body, m.at)
	if err != nil {
		return err
	}
	if off+10 > len(m.body) {
		return ErrShort
	}
	m.Type, m.Class = be.Uint16(m.body[off:]), be.Uint16(m.body[off+2:])
	return nil
}

// data appends the text of a record's data.
func (m *Message) data(typ uint16, off, size int, name *Name, dst []byte) []byte {
	data := m.body[off : off+size]
	skip := 0
	switch typ {
	case typeA:
		if size == 4 {
			return netip.AddrFrom4([4]byte(data)).AppendTo(dst)
		}
		return nil
	case typeAAAA:
		if size == 16 {
			return netip.AddrFrom16([16]byte(data)).AppendTo(dst)
		}
		return nil
	case typeTXT:
		return appendTXT(dst, data)
	case typeNS, typeCNAME, typePTR, typeDNAME, typeSOA:
	case typeMX, typeSVCB, typeHTTPS:
		skip = 2
	case typeSRV:
		skip = 6
	default:
		return nil
	}
	if size <= skip {
		return nil
	}
	for i := 0; i < skip; i += 2 {
		dst = append(strconv.AppendUint(dst, uint64(be.Uint16(data[i:])), 10), ' ')
	}
	// The name must end inside its record; pointers lead back from there.
	next, err := name.read(m.body[:off+size], off+skip)
	if err != nil || name.n == 1 && skip == 0 {
		return nil
	}
	dst = name.AppendText(dst)
	switch typ {
	case typeSOA:
		return m.appendSOA(dst, name, next, off+size)
	case typeSVCB, typeHTTPS:
		return appendParams(dst, m.body[next:off+size])
	}
	return dst
}

// appendSOA appends mailbox and serial number (RFC 1035 section 3.3.13).
func (m *Message) appendSOA(dst []byte, name *Name, off, end int) []byte {
	next, err := name.read(m.body[:end], off)
	if err != nil || next+4 > end {
		return dst
	}
	dst = name.AppendText(append(dst, ' '))
	return strconv.AppendUint(append(dst, ' '), uint64(be.Uint32(m.body[next:])), 10)
}

// appendTXT appends the character strings of a TXT record, one behind the
// other (RFC 1035 section 3.3.14).
func appendTXT(dst, data []byte) []byte {
	if len(data) == 0 {
		return nil
	}
	dst = append(dst, '"')
	start := len(dst)
	for len(data) > 0 && len(dst)-start < maxShort {
		n := min(int(data[0]), len(data)-1)
		dst = appendBytes(dst, data[1:1+n], start+maxShort)
		data = data[1+n:]
	}
	return append(dst, '"')
}

// appendBytes appends printable ASCII, and the rest as \DDD, until dst has
// limit bytes.
func appendBytes(dst, b []byte, limit int) []byte {
	for _, c := range b {
		if len(dst)+4 > limit {
			break
		}
		if c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
			dst = append(dst, c)
		} else {
			dst = append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
		}
	}
	return dst
}

// svcKeys are the names of the keys of service bindings (RFC 9460 section
// 14.3.2; RFC 9461).
var svcKeys = [...]string{"mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath"}

// appendParams appends the parameters of a service binding in presentation
// form; of keys other than alpn, port and the address hints only the name.
func appendParams(dst, b []byte) []byte {
	limit := len(dst) + maxShort
	for len(b) >= 4 && len(dst) < limit {
		key, n := be.Uint16(b), int(be.Uint16(b[2:]))
		if b = b[4:]; n > len(b) {
			break
		}
		v := b[:n]
		b = b[n:]
		dst = append(dst, ' ')
		if int(key) < len(svcKeys) {
			dst = append(dst, svcKeys[key]...)
		} else {
			dst = strconv.AppendUint(append(dst, "key"...), uint64(key), 10)
		}
		dst = appendParam(dst, key, v, limit)
	}
	return dst
}

func appendParam(dst []byte, key uint16, v []byte, limit int) []byte {
	sep := byte('=')
	size := 4
	switch key {
	case 1: // alpn
		for len(v) > 0 && int(v[0]) < len(v) && len(dst) < limit {
			dst = appendBytes(append(dst, sep), v[1:1+int(v[0])], limit)
			v, sep = v[1+int(v[0]):], ','
		}
	case 3: // port
		if len(v) == 2 {
			dst = strconv.AppendUint(append(dst, sep), uint64(be.Uint16(v)), 10)
		}
	case 6: // ipv6hint
		size = 16
		fallthrough
	case 4: // ipv4hint
		for ; len(v) >= size && len(dst) < limit; v, sep = v[size:], ',' {
			a, _ := netip.AddrFromSlice(v[:size])
			dst = a.AppendTo(append(dst, sep))
		}
	}
	return dst
}

// Subnet returns the client subnet that a message with EDNS names (RFC 7871),
// or none. It looks at the records behind the questions, eight at most.
func (m *Message) Subnet() netip.Prefix {
	if m.at == 0 || m.behind == 0 || m.answers > 0 {
		return netip.Prefix{}
	}
	off := m.at
	for i := 0; i < m.behind && i < 8; i++ {
		if off = skip(m.body, off); off == 0 || off+10 > len(m.body) {
			break
		}
		typ, size := be.Uint16(m.body[off:]), int(be.Uint16(m.body[off+8:]))
		off += 10
		if off+size > len(m.body) {
			break
		}
		if typ == typeOPT {
			return subnet(m.body[off : off+size])
		}
		off += size
	}
	return netip.Prefix{}
}

// subnet looks for the option in the data of an OPT record.
func subnet(b []byte) netip.Prefix {
	for len(b) >= 4 {
		code, n := be.Uint16(b), int(be.Uint16(b[2:]))
		if b = b[4:]; n > len(b) {
			break
		}
		v := b[:n]
		b = b[n:]
		if code != optSubnet || n < 4 {
			continue
		}
		var a [16]byte
		copy(a[:], v[4:min(n, 20)])
		addr := netip.AddrFrom16(a)
		if be.Uint16(v) == 1 {
			addr = netip.AddrFrom4([4]byte(a[:4]))
		} else if be.Uint16(v) != 2 {
			break
		}
		if p, err := addr.Prefix(int(v[2])); err == nil {
			return p
		}
		break
	}
	return netip.Prefix{}
}
