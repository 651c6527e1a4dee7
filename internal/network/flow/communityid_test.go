package flow_test

import (
	"net/netip"
	"testing"

	"github.com/rind-project/rind/internal/network/flow"
)

// TestCommunityID holds published test vectors of Community ID v1, each in both
// directions: those of the specification (github.com/corelight/community-id-spec,
// baseline/baseline_deflt.json and baseline_seed1.json, of tcp.pcap, udp.pcap,
// icmp.pcap and sctp.pcap there), and of TCP and UDP over IPv6 what the
// specification's author's implementation gives (pycommunityid 1.4), which gives
// all others here too.
func TestCommunityID(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		src, dst     string
		sport, dport uint16
		proto        uint8
		seed         uint16
		want         string
	}{
		{"128.232.110.120", "66.35.250.204", 34855, 80, 6, 0, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{"128.232.110.120", "66.35.250.204", 34855, 80, 6, 1, "1:3V71V58M3Ksw/yuFALMcW0LAHvc="},
		{"192.168.1.52", "8.8.8.8", 54585, 53, 17, 0, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
		{"192.168.1.52", "8.8.8.8", 54585, 53, 17, 1, "1:Q9We8WO3piVF8yEQBNJF4uiSVrI="},
		{"192.168.0.89", "192.168.0.1", 8, 0, 1, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
		{"192.168.0.89", "192.168.0.1", 8, 0, 1, 1, "1:03g6IloqVBdcZlPyX8r0hgoE7kA="},
		{"192.168.170.8", "192.168.170.56", 7, 80, 132, 0, "1:jQgCxbku+pNGw8WPbEc/TS/uTpQ="},
		{"2001:db8::1", "2001:db8::2", 49152, 443, 6, 0, "1:nVytkgXAOJHYvYPARNzqK3FosjA="},
		{"2001:db8::1", "2001:db8::2", 49152, 443, 6, 65535, "1:Ey/MpXp9bF13duDgb8zlFq22/Oc="},
		{"2001:db8::2", "2001:db8::1", 53, 49152, 17, 0, "1:uo6vkPEpI0aiJYgR4WG21uZruzE="},
		{"2001:db8::2", "2001:db8::1", 53, 49152, 17, 65535, "1:L3J++Y38YJU68/2ummYV840vdWI="},
	} {
		s, d := netip.MustParseAddr(c.src), netip.MustParseAddr(c.dst)
		if got := flow.CommunityID(s, d, c.sport, c.dport, c.proto, c.seed); got != c.want {
			t.Errorf("%s:%d > %s:%d %d seed %d: %s, want %s", c.src, c.sport, c.dst, c.dport, c.proto, c.seed, got, c.want)
		}
		if got := flow.CommunityID(d, s, c.dport, c.sport, c.proto, c.seed); got != c.want {
			t.Errorf("%s:%d < %s:%d %d seed %d: %s, want %s", c.src, c.sport, c.dst, c.dport, c.proto, c.seed, got, c.want)
		}
	}
}

// TestCommunityIDOneWay holds the specification's vectors (icmp.pcap, icmp6.pcap
// and the file with RSVP of its baseline) of messages whose direction counts, of
// pairs over IPv6, and of a protocol without ports.
func TestCommunityIDOneWay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		src, dst     string
		sport, dport uint16
		proto        uint8
		want         string
	}{
		{"192.168.0.1", "192.168.0.89", 0, 8, 1, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
		{"192.168.0.89", "192.168.0.1", 20, 0, 1, "1:3o2RFccXzUgjl7zDpqmY7yJi8rI="},
		{"192.168.0.89", "192.168.0.1", 20, 1, 1, "1:tz/fHIDUHs19NkixVVoOZywde+I="},
		{"fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea", 135, 0, 58, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="},
		{"fe80::260:97ff:fe07:69ea", "fe80::200:86ff:fe05:80da", 136, 0, 58, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="},
		{"3ffe:507:0:1:260:97ff:fe07:69ea", "3ffe:507:0:1:200:86ff:fe05:80da", 3, 0, 58, "1:NdobDX8PQNJbAyfkWxhtL2Pqp5w="},
		{"3ffe:507:0:1:200:86ff:fe05:80da", "3ffe:507:0:1:260:97ff:fe07:69ea", 3, 0, 58, "1:/OGBt9BN1ofenrmSPWYicpij2Vc="},
		{"10.1.24.4", "10.1.12.1", 0, 0, 46, "1:/nQI4Rh/TtY3mf0R2gJFBkVlgS4="},
		{"10.1.12.1", "10.1.24.4", 0, 0, 46, "1:/nQI4Rh/TtY3mf0R2gJFBkVlgS4="},
	} {
		if got := flow.CommunityID(netip.MustParseAddr(c.src), netip.MustParseAddr(c.dst), c.sport, c.dport, c.proto, 0); got != c.want {
			t.Errorf("%s > %s, %d %d of %d: %s, want %s", c.src, c.dst, c.sport, c.dport, c.proto, got, c.want)
		}
	}
}
