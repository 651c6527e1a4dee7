// Package packet reads the headers of a captured frame, from the link layer to
// the transport layer, without allocating and without trusting a byte of it:
// every length is checked against what was captured and against what was on
// the wire, and every walk has a limit.
package packet

import "github.com/rind-project/rind/internal/network"

// Packet is what the Decoder found in one frame. It is meant to be reused:
// Decode overwrites all of it. Payload points into the frame.
type Packet struct {
	Time    int64  // nanoseconds since 1970, set by the caller
	WireLen uint32 // length of the frame on the wire, with its link header

	SrcMAC, DstMAC  [6]byte // zero when the link has none
	EtherType       uint16  // after the tags; below 0x600 for an 802.3 frame without SNAP
	VLAN, InnerVLAN uint16  // VLAN ids, outer and inner; 0 is none (a priority tag is none)

	Version uint8 // 4 or 6; 0 when the frame carries no IP
	Proto   uint8 // IP protocol, after the IPv6 extension headers
	TTL     uint8

	// The addresses, 16 bytes each as two big-endian words, IPv4 mapped
	// (::ffff:a.b.c.d), so that keys compare and hash as integers.
	Src, Dst Addr

	// SrcPort and DstPort hold ports for TCP, UDP and SCTP, and for ICMP and
	// ICMPv6 what Community ID v1 puts in their place. HasPorts is false when
	// the header that has them is not in this packet (later fragments, other
	// protocols, snapped).
	SrcPort, DstPort uint16
	HasPorts         bool
	OneWay           bool // ICMP without a counterpart type: the ports are type and code

	TCPFlags uint8 // RFC 9293 order: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128
	Seq, Ack uint32

	// Whole is true when the transport header was captured to its end: without
	// it Window and Options say nothing.
	Whole   bool
	Code    uint8  // of ICMP and ICMPv6; the type is SrcPort
	Window  uint16 // TCP, as it stands in the header, not scaled
	Options []byte // TCP options, with padding

	// Tunnel is what the packet was carried in, the innermost that was opened:
	// all else in here is of the inner packet (the VLAN tags are the first two
	// from the outside in). TunnelID tells tunnels of one kind apart, see
	// network.Flow.
	Tunnel   network.Tunnel
	TunnelID uint32

	// A fragment: FragData is its part of the datagram, behind the headers that
	// every fragment has, or nil when the capture cut it; it begins FragOffset
	// bytes into the datagram with a header of type FragNext. FragSrc and
	// FragDst are the addresses of the header that was fragmented, which in a
	// tunnel is the outer one.
	Fragment         bool // part of a fragmented datagram
	FirstFrag        bool // the part with offset 0
	MoreFrags        bool // not the last part
	FragNext         uint8
	FragVersion      uint8 // of IP
	FragOffset       uint16
	FragID           uint32
	FragSrc, FragDst Addr
	FragWay          uint64 // the tags and the tunnel that the fragments came in
	FragData         []byte

	// Payload is that of the transport protocol, as far as captured and without
	// link padding. ICMP's begins behind the checksum, IGMP's and that of
	// protocols that are not read further behind the IP header. In a Frame that
	// is not IP it is what stands behind the EtherType or length. flow.Fragments
	// takes the payloads of fragments away and gives the last of them that of the
	// whole datagram: Reassembled is then true.
	Reassembled  bool
	Payload      []byte
	PayloadOnNet int // length of the payload on the wire

	tags  uint8 // VLAN tags met so far
	depth uint8 // tunnels opened so far
}

// clearTransport forgets what stood behind the IP header.
func (p *Packet) clearTransport() {
	p.SrcPort, p.DstPort, p.HasPorts, p.OneWay, p.Whole, p.Code = 0, 0, false, false, false, 0
	p.TCPFlags, p.Seq, p.Ack, p.Window, p.Options = 0, 0, 0, 0, nil
	p.Payload, p.PayloadOnNet = nil, 0
}

// Addr is an address of 16 bytes as two big-endian words.
type Addr struct{ Hi, Lo uint64 }

// TCP flag bits in TCPFlags.
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// Status is the outcome of Decode.
type Status uint8

// The outcomes. IP and Frame are well formed; all others are malformed, and
// each is a reason with a counter of its own.
const (
	IP              Status = iota // an IP packet; it belongs to a flow
	Frame                         // well formed, not IP: counted by EtherType
	UnsupportedLink               // a link type that is not decoded (802.11 and rarer ones)
	ShortLink                     // the frame ends inside its link header or tags
	ShortARP                      // ARP that ends before its addresses
	BadVersion                    // the version nibble does not fit the EtherType
	ShortIP                       // the frame ends inside the IP header
	BadHeaderLength               // IPv4 header length below 20 or past the packet
	BadTotalLength                // the IP length is below the header's or past the frame
	BadExtension                  // IPv6 extension headers past the packet, or more than the limit
	BadFragment                   // a fragment that ends past 65,535 bytes
	ShortTransport                // the packet ends inside its transport header
	BadTCPOffset                  // TCP data offset below 20 or past the segment
	BadUDPLength                  // UDP length below 8 or past the datagram
	Snapped                       // the capture's snap length cut off the IP header
	StatusCount                   // how many there are
)

var statusNames = [StatusCount]string{
	"ip", "frame", "unsupported_link", "short_link", "short_arp", "bad_version", "short_ip",
	"bad_header_length", "bad_total_length", "bad_extension", "bad_fragment", "short_transport",
	"bad_tcp_offset", "bad_udp_length", "snapped",
}

// String returns the name of the status as it stands in metric labels.
func (s Status) String() string {
	if s < StatusCount {
		return statusNames[s]
	}
	return "unknown"
}

// Malformed reports whether the ledger counts the packet as malformed.
func (s Status) Malformed() bool { return s > Frame }
