package ui

import (
	"strconv"

	"github.com/rind-project/rind/internal/network"
)

// Proto names an IP protocol as IANA's registry does; an unknown one stays a number.
func Proto(p network.Proto) string {
	switch p {
	case network.ICMP:
		return "ICMP"
	case network.TCP:
		return "TCP"
	case network.UDP:
		return "UDP"
	case network.ICMPv6:
		return "ICMPv6"
	case 2:
		return "IGMP"
	case 47:
		return "GRE"
	case 50:
		return "ESP"
	case 89:
		return "OSPF"
	case 103:
		return "PIM"
	case 112:
		return "VRRP"
	case 132:
		return "SCTP"
	}
	return strconv.Itoa(int(p))
}

var dnsTypes = map[uint16]string{
	1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 13: "HINFO", 15: "MX", 16: "TXT", 28: "AAAA", 29: "LOC",
	33: "SRV", 35: "NAPTR", 39: "DNAME", 41: "OPT", 43: "DS", 44: "SSHFP", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY",
	50: "NSEC3", 52: "TLSA", 64: "SVCB", 65: "HTTPS", 99: "SPF", 251: "IXFR", 252: "AXFR", 255: "ANY", 257: "CAA",
}

// DNSType names a query type (RFC 1035, IANA DNS parameters), else "TYPE123" (RFC 3597).
func DNSType(t uint16) string {
	if n, ok := dnsTypes[t]; ok {
		return n
	}
	return "TYPE" + strconv.Itoa(int(t))
}

var rcodes = []string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE"}

// Bits writes thousandths of a bit as bits.
func Bits(e uint16) string { return strconv.FormatFloat(float64(e)/1000, 'f', 2, 64) }

// RCode names a response code.
func RCode(c uint8) string {
	if int(c) < len(rcodes) {
		return rcodes[c]
	}
	return "RCODE" + strconv.Itoa(int(c))
}

// TLSVersion names the highest version that a ClientHello offered.
func TLSVersion(v uint16) string {
	switch v {
	case 0x0304:
		return "TLS 1.3"
	case 0x0303:
		return "TLS 1.2"
	case 0x0302:
		return "TLS 1.1"
	case 0x0301:
		return "TLS 1.0"
	case 0x0300:
		return "SSL 3.0"
	case 0:
		return NoValue
	}
	return "0x" + strconv.FormatUint(uint64(v), 16)
}
