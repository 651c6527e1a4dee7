// Package network holds the words of the network plane: the plain types that
// its rooms, the API and the pages share. It imports the standard library
// only. Whatever names come from packets in here are untrusted bytes.
package network

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// TapID names a tap: [a-z0-9_-]{1,63}.
type TapID string

// Identity is what makes a report unique, for ever: a report with an identity
// that is committed already changes nothing.
type Identity struct {
	Tap      TapID  `json:"tap"`
	Boot     string `json:"boot"`     // UUIDv7 text, new at each start of the tap
	Sequence uint64 `json:"sequence"` // from 1 within a boot, no gaps
}

// Report is what a tap saw between Start and End.
type Report struct {
	Identity
	Start      time.Time  `json:"start"`
	End        time.Time  `json:"end"`
	Seed       uint16     `json:"community_id_seed"`
	Health     Health     `json:"health"`
	Interfaces []Ledger   `json:"interfaces"`
	Gap        *Gap       `json:"gap,omitempty"`
	Flows      []Flow     `json:"flows,omitempty"`
	DNS        []DNSQuery `json:"dns,omitempty"`
	TLS        []TLSHello `json:"tls,omitempty"`
	Records
}

// Health is the tap's own state when a report was closed.
type Health struct {
	Version      string  `json:"version"`
	CPUSeconds   float64 `json:"cpu_seconds"` // user and system, since the tap started
	MemoryBytes  uint64  `json:"memory_bytes"`
	FlowsActive  uint64  `json:"flows_active"`
	FlowsMax     uint64  `json:"flows_max"`
	SpoolReports uint64  `json:"spool_reports"`
	SpoolBytes   uint64  `json:"spool_bytes"`
	SpoolDropped uint64  `json:"spool_dropped"` // reports that the spool's bounds pushed out, since the tap started
	RingBytes    uint64  `json:"ring_bytes"`
	RingUsed     uint64  `json:"ring_used_bytes"` // the most that was seen filled and not read since the report before, of the fullest ring
	RingFull     uint64  `json:"ring_full"`       // times that the kernel found no room in a ring, since the interfaces were opened

	SpoolAge  time.Duration `json:"spool_age"`  // how long the oldest report waits
	ClockSkew time.Duration `json:"clock_skew"` // the node's clock minus the tap's, at the last answer

	Parsers []ParserHealth `json:"parsers,omitempty"` // those that did something
}

// Ledger accounts for every packet of one interface (or file) in one report:
// Received = Summarised + DroppedKernel + DroppedPipeline + Malformed +
// HeldFragments − ReleasedFragments, exactly. docs/ledger.md defines the terms.
type Ledger struct {
	Interface         string `json:"interface"`
	Received          uint64 `json:"received"`
	Summarised        uint64 `json:"summarised"`
	DroppedKernel     uint64 `json:"dropped_kernel"`
	DroppedPipeline   uint64 `json:"dropped_pipeline"`
	Malformed         uint64 `json:"malformed"`
	HeldFragments     uint64 `json:"held_fragments"`     // put aside in this report
	ReleasedFragments uint64 `json:"released_fragments"` // put aside earlier, accounted for in this report
	Bytes             uint64 `json:"bytes"`              // of the packets that reached the tap, on the wire
}

// Balanced reports whether the ledger adds up.
func (l Ledger) Balanced() bool {
	return l.Received+l.ReleasedFragments ==
		l.Summarised+l.DroppedKernel+l.DroppedPipeline+l.Malformed+l.HeldFragments
}

// Gap stands in the first report after an unclean end: what lies between the
// last report that the boot before had spooled and this boot was not seen.
type Gap struct {
	Boot     string    `json:"boot"`     // the boot that ended uncleanly
	Sequence uint64    `json:"sequence"` // its last spooled report; 0 when it spooled none
	From     time.Time `json:"from"`     // end of that report, or the start of that boot
	To       time.Time `json:"to"`       // start of this boot
}

// Proto is an IP protocol number.
type Proto uint8

// The protocols that have ports or types, and IGMP.
const (
	ICMP   Proto = 1
	IGMP   Proto = 2
	TCP    Proto = 6
	UDP    Proto = 17
	ICMPv6 Proto = 58
	SCTP   Proto = 132
)

var protoNames = [256]string{ICMP: "icmp", IGMP: "igmp", TCP: "tcp", UDP: "udp", ICMPv6: "icmpv6", SCTP: "sctp"}

// String returns the protocol's name as commands and the API write it, "tcp",
// or its number.
func (p Proto) String() string {
	if n := protoNames[p]; n != "" {
		return n
	}
	return strconv.Itoa(int(p))
}

// ParseProto reads a protocol's name or its number, which is not 0.
func ParseProto(s string) (Proto, bool) {
	for p, name := range protoNames {
		if name != "" && s == name {
			return Proto(p), true
		}
	}
	n, err := strconv.ParseUint(s, 10, 8)
	return Proto(n), err == nil && n != 0
}

// Flow is the traffic between two endpoints during one report: for a flow that
// goes on, only what was added since the report before. Source is who opened
// it: who sent the SYN, else who is not on the well-known port, else who spoke
// first. For ICMP the ports are type and code as Community ID v1 maps them.
//
// In a tunnel the endpoints are the inner ones, and the tunnel is part of what
// makes the flow. The round trips of the handshake and the fingerprint stand
// in the report in which they were seen, the TTLs in each.
type Flow struct {
	Start       time.Time     `json:"start"` // first packet in this report
	End         time.Time     `json:"end"`   // last packet in this report
	Source      netip.Addr    `json:"source"`
	Dest        netip.Addr    `json:"dest"`
	SrcPort     uint16        `json:"source_port"`
	DstPort     uint16        `json:"dest_port"`
	Proto       Proto         `json:"proto"`
	VLAN        uint16        `json:"vlan,omitempty"`       // outer tag; 0 is none
	InnerVLAN   uint16        `json:"inner_vlan,omitempty"` // QinQ
	SrcMAC      MAC           `json:"source_mac,omitzero"`
	DstMAC      MAC           `json:"dest_mac,omitzero"`
	SrcPkts     uint64        `json:"source_packets"`
	DstPkts     uint64        `json:"dest_packets"`
	SrcBytes    uint64        `json:"source_bytes"` // on the wire, with link header
	DstBytes    uint64        `json:"dest_bytes"`
	SrcFlags    uint8         `json:"source_tcp_flags,omitempty"` // all seen, or'ed; RFC 9293 order
	DstFlags    uint8         `json:"dest_tcp_flags,omitempty"`
	State       TCPState      `json:"tcp_state,omitempty"`
	App         string        `json:"app,omitempty"` // "dns", "tls", … guessed from payload, else from the port
	Ended       bool          `json:"ended"`         // no further report will continue it
	Tunnel      Tunnel        `json:"tunnel,omitempty"`
	TunnelID    uint32        `json:"tunnel_id,omitempty"`  // see Tunnel
	SrcTTL      uint8         `json:"source_ttl,omitempty"` // of the flow's first packet this way; hop limit of IPv6
	DstTTL      uint8         `json:"dest_ttl,omitempty"`
	ClientRTT   time.Duration `json:"client_rtt,omitempty"` // from SYN-ACK to ACK: between tap and source, and back
	ServerRTT   time.Duration `json:"server_rtt,omitempty"` // from SYN to SYN-ACK: between tap and dest, and back
	SrcRetrans  uint32        `json:"source_retransmissions,omitempty"`
	DstRetrans  uint32        `json:"dest_retransmissions,omitempty"`
	SrcZeroWin  uint32        `json:"source_zero_windows,omitempty"` // segments that announced a window of 0
	DstZeroWin  uint32        `json:"dest_zero_windows,omitempty"`
	Fingerprint string        `json:"tcp_fingerprint,omitempty"` // of the SYN, in the form of JA4T: window_options_mss_scale
}

// TCPState is what the flow's handshake and end looked like so far.
type TCPState uint8

// The states, in the order in which a connection goes through them.
const (
	TCPNone        TCPState = iota // not TCP, or nothing known: seen from the middle
	TCPSynSent                     // SYN, no answer
	TCPSynReceived                 // SYN and SYN-ACK
	TCPEstablished                 // three-way handshake or data both ways
	TCPClosing                     // one FIN
	TCPClosed                      // both FINs
	TCPReset                       // RST after the SYN-ACK
	TCPRejected                    // RST in answer to the SYN
)

var tcpStates = [...]string{"", "syn_sent", "syn_received", "established", "closing", "closed", "reset", "rejected"}

// String returns the state's name in JSON and on pages.
func (s TCPState) String() string {
	if int(s) < len(tcpStates) {
		return tcpStates[s]
	}
	return ""
}

// MarshalText writes the state's name.
func (s TCPState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the state's name.
func (s *TCPState) UnmarshalText(b []byte) error {
	for i, n := range tcpStates {
		if n == string(b) {
			*s = TCPState(i)
			return nil
		}
	}
	*s = TCPNone
	return nil
}

// DNSQuery is a question and, when one was seen, its answer. By multicast
// (mdns) questions and answers stand apart: an answer there is a row with the
// name and type of its first record, and the client is who sent it.
type DNSQuery struct {
	Time          time.Time     `json:"time"`
	Client        netip.Addr    `json:"client"`
	Server        netip.Addr    `json:"server"`
	Port          uint16        `json:"client_port"`
	Proto         Proto         `json:"proto"`            // UDP or TCP
	Via           string        `json:"via"`              // dns, mdns, llmnr or nbns
	Name          string        `json:"name"`             // lower case, no trailing dot, odd bytes as \DDD
	Domain        string        `json:"domain,omitempty"` // registered domain: the public suffix and one label (publicsuffix.org)
	Entropy       uint16        `json:"entropy"`          // of the name without its dots (Shannon), thousandths of a bit per byte
	Type          uint16        `json:"type"`
	Answered      bool          `json:"answered"`
	RCode         uint8         `json:"rcode"`
	Authoritative bool          `json:"authoritative,omitempty"` // AA of the answer
	Truncated     bool          `json:"truncated,omitempty"`     // TC of the answer
	Recursion     bool          `json:"recursion,omitempty"`     // RD of the question, RA of the answer
	Authenticated bool          `json:"authenticated,omitempty"` // AD of the answer (RFC 4035)
	Subnet        string        `json:"subnet,omitempty"`        // EDNS client subnet of the question (RFC 7871)
	Latency       time.Duration `json:"latency,omitempty"`
	Answers       []string      `json:"answers,omitempty"` // addresses, names and short data, in text, at most 16
}

// Flags are the flags that are set, as dig writes them: "aa tc ra ad". Where a
// question asks for recursion and the answer offers it, ra stands for both.
func (q DNSQuery) Flags() string {
	var out []string
	for _, f := range [...]struct {
		set  bool
		name string
	}{{q.Authoritative, "aa"}, {q.Truncated, "tc"}, {q.Recursion, "ra"}, {q.Authenticated, "ad"}} {
		if f.set {
			out = append(out, f.name)
		}
	}
	return strings.Join(out, " ")
}

// The values of DNSQuery.Via.
const (
	ViaDNS   = "dns"
	ViaMDNS  = "mdns"
	ViaLLMNR = "llmnr"
	ViaNBNS  = "nbns"
)

// TLSHello is the visible part of a TLS handshake (RFC 5246, RFC 8446), over
// TCP or in QUIC. What the server says of itself stands in it as far as it is
// not encrypted: the certificate up to TLS 1.2 only. When only the server was
// seen, what the client offers is empty.
type TLSHello struct {
	Time     time.Time  `json:"time"`
	Client   netip.Addr `json:"client"`
	Server   netip.Addr `json:"server"`
	SrcPort  uint16     `json:"client_port"`
	DstPort  uint16     `json:"server_port"`
	Proto    Proto      `json:"proto"`              // TCP, or UDP for QUIC
	SNI      string     `json:"sni,omitempty"`      // lower case
	ALPN     []string   `json:"alpn,omitempty"`     // as offered, at most 8
	Version  uint16     `json:"version"`            // highest offered: 0x0304 is TLS 1.3
	Offered  string     `json:"offered,omitempty"`  // versions offered, in order: "1.3,1.2"
	Chosen   uint16     `json:"chosen,omitempty"`   // version that the server chose; 0 when its hello was not seen
	Cipher   uint16     `json:"cipher,omitempty"`   // cipher suite that the server chose (IANA number)
	Protocol string     `json:"protocol,omitempty"` // ALPN that the server chose, when in the clear
	Resumed  bool       `json:"resumed,omitempty"`  // an earlier session goes on, or an external key was taken
	Alert    string     `json:"alert,omitempty"`    // first alert in the clear that is not close_notify (RFC 8446 section 6)
	JA3      string     `json:"ja3,omitempty"`      // MD5 of what the client offers
	JA3S     string     `json:"ja3s,omitempty"`     // MD5 of what the server chose
	JA4      string     `json:"ja4,omitempty"`      // JA4 of what the client offers

	Subject     string    `json:"subject,omitempty"`     // of the server's certificate (RFC 4514)
	Issuer      string    `json:"issuer,omitempty"`      // likewise
	Names       []string  `json:"names,omitempty"`       // its subject alternative names, at most 8
	NotBefore   time.Time `json:"not_before,omitzero"`   // its validity, to the second
	NotAfter    time.Time `json:"not_after,omitzero"`    // likewise
	Serial      string    `json:"serial,omitempty"`      // in hexadecimal
	Fingerprint string    `json:"cert_sha256,omitempty"` // SHA-256 of the certificate, in hexadecimal
}
