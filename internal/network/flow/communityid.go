package flow

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"net/netip"

	"github.com/rind-project/rind/internal/network/packet"
)

// CommunityID returns the Community ID v1 of a flow
// (github.com/corelight/community-id-spec): the same for both directions. For
// ICMP and ICMPv6 sport is the type and dport what Flow holds in its place,
// or the code. Addresses of different families give "".
func CommunityID(src, dst netip.Addr, sport, dport uint16, proto uint8, seed uint16) string {
	src, dst = src.Unmap(), dst.Unmap()
	if !src.IsValid() || !dst.IsValid() || src.Is4() != dst.Is4() {
		return ""
	}
	oneWay, ports := false, true
	switch proto {
	case 1, 58:
		sport, dport, oneWay = packet.ICMPPorts(proto, uint8(sport), uint8(dport))
	case 6, 17, 132:
	default:
		ports = false
	}
	c := src.Compare(dst)
	if !oneWay && (c > 0 || c == 0 && ports && sport > dport) {
		src, dst, sport, dport = dst, src, dport, sport
	}
	var buf [2 + 32 + 2 + 4]byte
	b := binary.BigEndian.AppendUint16(buf[:0], seed)
	b = append(b, src.AsSlice()...)
	b = append(b, dst.AsSlice()...)
	b = append(b, proto, 0)
	if ports {
		b = binary.BigEndian.AppendUint16(b, sport)
		b = binary.BigEndian.AppendUint16(b, dport)
	}
	sum := sha1.Sum(b)
	return "1:" + base64.StdEncoding.EncodeToString(sum[:])
}
