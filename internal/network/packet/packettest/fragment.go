package packettest

// Fragments cuts the IP packet of an untagged Ethernet frame into frames whose
// parts of the datagram have size bytes, a multiple of 8, but for the last. A
// packet that fits comes back as it is.
func Fragments(frame []byte, size int, id uint32) [][]byte {
	ip, v6 := frame[14:], frame[14]>>4 == 6
	head := 20
	if v6 {
		head = 40
	}
	body := ip[head:]
	if len(body) <= size {
		return [][]byte{frame}
	}
	var out [][]byte
	for at := 0; at < len(body); at += size {
		end := min(at+size, len(body))
		b := append([]byte(nil), frame[:14+head]...)
		h := b[14:]
		if v6 {
			field := uint16(at)
			if end < len(body) {
				field |= 1
			}
			b = append(b, h[6], 0)
			b = be.AppendUint32(be.AppendUint16(b, field), id)
			b = append(b, body[at:end]...)
			be.PutUint16(b[18:], uint16(len(b)-54))
			b[20] = 44
		} else {
			field := uint16(at / 8)
			if end < len(body) {
				field |= 0x2000
			}
			b = append(b, body[at:end]...)
			be.PutUint16(b[16:], uint16(len(b)-14))
			be.PutUint16(b[18:], uint16(id))
			be.PutUint16(b[20:], field)
		}
		out = append(out, b)
	}
	return out
}
