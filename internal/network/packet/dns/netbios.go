package dns

import "net/netip"

// appendNetBIOS appends a name of the NetBIOS name service as nbtstat writes
// it: the name without its padding, and its suffix, the sixteenth byte, in
// angle brackets. RFC 1001 section 14.1 says how it is written in one label of
// 32 letters; a name that is not written so is appended as it is.
func (n *Name) appendNetBIOS(dst []byte) []byte {
	w := n.bytes()
	if len(w) < 34 || w[0] != 32 {
		return n.AppendText(dst)
	}
	var raw [16]byte
	for i := range raw {
		hi, lo := w[1+2*i]-'a', w[2+2*i]-'a'
		if hi > 15 || lo > 15 {
			return n.AppendText(dst)
		}
		raw[i] = hi<<4 | lo
	}
	return appendNetBIOSName(dst, raw)
}

// appendNetBIOSName appends the name that the sixteen bytes are.
func appendNetBIOSName(dst []byte, raw [16]byte) []byte {
	end := 15
	for end > 1 && (raw[end-1] == ' ' || raw[end-1] == 0) {
		end--
	}
	for _, c := range raw[:end] {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c > ' ' && c < 0x7f && c != '\\' {
			dst = append(dst, c)
		} else {
			dst = append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
		}
	}
	const hex = "0123456789abcdef"
	return append(dst, '<', hex[raw[15]>>4], hex[raw[15]&15], '>')
}

// netbiosData visits what a record of the NetBIOS name service says: the
// addresses of an NB record (RFC 1002 section 4.2.13), the names of an NBSTAT
// record (section 4.2.18). It returns how many, at most limit.
func netbiosData(typ uint16, data, text []byte, limit int, visit func([]byte)) (n int) {
	switch {
	case typ == typeNB:
		for ; len(data) >= 6 && n < limit; n++ {
			visit(netip.AddrFrom4([4]byte(data[2:6])).AppendTo(text))
			data = data[6:]
		}
	case typ == typeNBSTAT && len(data) > 0:
		left := int(data[0])
		for data = data[1:]; left > 0 && len(data) >= 18 && n < limit; n++ {
			visit(appendNetBIOSName(text, [16]byte(data[:16])))
			data = data[18:]
			left--
		}
	}
	return n
}
