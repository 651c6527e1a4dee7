// Package vpn recognises tunnels by the first packets of their handshakes,
// whose content is encrypted: WireGuard and OpenVPN.
package vpn

import "encoding/binary"

// WireGuard reports whether a UDP payload is a handshake initiation or a
// response: type, three zeros, and a length that is always the same
// (https://www.wireguard.com/papers/wireguard.pdf, section 5.4).
func WireGuard(_ int, b []byte) bool {
	if len(b) != 148 && len(b) != 92 || b[1]|b[2]|b[3] != 0 {
		return false
	}
	if len(b) == 148 {
		return b[0] == 1 && binary.LittleEndian.Uint32(b[4:]) != 0
	}
	return b[0] == 2 && binary.LittleEndian.Uint32(b[4:]) != 0 && binary.LittleEndian.Uint32(b[8:]) != 0
}

// The opcodes with which OpenVPN's handshake begins, in the upper five bits;
// the key id in the lower three is 0 then.
const (
	resetClient2 = 7 << 3
	resetServer2 = 8 << 3
	resetClient3 = 10 << 3
	minReset     = 14 // opcode, session id, length of the acknowledgements, message id
	maxReset     = 1200
)

// OpenVPN reports whether a UDP payload is a hard reset of OpenVPN's handshake
// (https://openvpn.net/community-resources/openvpn-protocol): in the clear,
// with the HMAC of tls-auth, or wrapped by tls-crypt.
func OpenVPN(_ int, b []byte) bool {
	if len(b) < minReset || len(b) > maxReset || binary.BigEndian.Uint64(b[1:]) == 0 {
		return false
	}
	switch b[0] {
	case resetClient2, resetServer2:
	case resetClient3: // its wrapped client key follows
		return len(b) > 54+256 && replay(b[9:])
	default:
		return false
	}
	if reset(b[0], b[9:]) {
		return true
	}
	// tls-auth: an HMAC of MD5, SHA-1, SHA-256 or SHA-512, and a replay id.
	for _, mac := range [...]int{16, 20, 32, 64} {
		if len(b) >= 9+mac+8+5 && replay(b[9+mac:]) && reset(b[0], b[9+mac+8:]) {
			return true
		}
	}
	// tls-crypt: replay id, HMAC of 32 bytes, and the rest encrypted.
	return (len(b) == 54 || len(b) == 66) && replay(b[9:])
}

// reset reports whether the acknowledgements and the message id are those of a
// hard reset: the client has nothing to acknowledge, the server the client's.
func reset(opcode byte, b []byte) bool {
	switch {
	case len(b) == 5:
		return binary.BigEndian.Uint32(b[1:]) == 0 && b[0] == 0
	case len(b) == 17 && opcode == resetServer2:
		return b[0] == 1 && binary.BigEndian.Uint32(b[1:]) == 0 && binary.BigEndian.Uint32(b[13:]) == 0
	}
	return false
}

// replay reports whether a replay id is one of the first of a session, with a
// time between 2001 and 2106. (With early negotiation the counter begins at
// 0x0f000001.)
func replay(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	n := binary.BigEndian.Uint32(b)
	return (n >= 1 && n < 256 || n>>24 == 0x0f && n&0xffffff < 256) && binary.BigEndian.Uint32(b[4:]) >= 1_000_000_000
}

// OpenVPNStream is OpenVPN over TCP, where a length stands before each packet.
func OpenVPNStream(side int, b []byte) bool {
	if len(b) < 2+minReset {
		return false
	}
	n := int(binary.BigEndian.Uint16(b))
	return n >= minReset && len(b) >= 2+n && OpenVPN(side, b[2:2+n])
}
