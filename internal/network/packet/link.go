package packet

import "strconv"

// LinkType says what a frame begins with. The numbers are those of the
// LINKTYPE_ registry (tcpdump.org/linktypes.html), as they stand in pcap and
// pcapng files.
type LinkType uint16

// The link types that a capture can bring. The 802.11 ones are recognised so
// that they can be named; the Decoder answers UnsupportedLink for them.
const (
	LinkLoopback    LinkType = 0   // BSD loopback: address family in the byte order of the capturing host
	LinkEthernet    LinkType = 1   // Ethernet II, 802.3, without FCS
	LinkPPP         LinkType = 9   // PPP, with or without HDLC's address and control
	LinkPPPHDLC     LinkType = 50  // PPP with HDLC's address and control
	LinkPPPoE       LinkType = 51  // PPPoE session, without Ethernet
	LinkRaw         LinkType = 101 // IPv4 or IPv6, told apart by the version nibble
	LinkIEEE80211   LinkType = 105
	LinkLoop        LinkType = 108 // OpenBSD loopback: address family in network byte order
	LinkLinuxSLL    LinkType = 113 // Linux cooked, v1
	LinkPrism       LinkType = 119
	LinkRadiotap    LinkType = 127
	LinkIPv4        LinkType = 228
	LinkIPv6        LinkType = 229
	LinkLinuxSLL2   LinkType = 276 // Linux cooked, v2
	linkRawBSD      LinkType = 12  // raw IP as some systems wrote their own DLT_ number into files
	linkRawOpenBSD  LinkType = 14
	linkTypeUnknown          = "link type "
)

var linkNames = map[LinkType]string{
	LinkLoopback: "null", LinkEthernet: "ethernet", LinkRaw: "raw", LinkIEEE80211: "802.11",
	LinkLoop: "loop", LinkLinuxSLL: "linux_sll", LinkPrism: "802.11+prism", LinkRadiotap: "802.11+radiotap",
	LinkPPP: "ppp", LinkPPPHDLC: "ppp", LinkPPPoE: "pppoe", LinkIPv4: "ipv4", LinkIPv6: "ipv6", LinkLinuxSLL2: "linux_sll2", linkRawBSD: "raw", linkRawOpenBSD: "raw",
}

// String returns a short name, or "link type N".
func (l LinkType) String() string {
	if n, ok := linkNames[l]; ok {
		return n
	}
	return linkTypeUnknown + strconv.Itoa(int(l))
}
