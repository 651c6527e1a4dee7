package network

import "testing"

func TestProto(t *testing.T) {
	t.Parallel()
	for p := range 256 {
		got, ok := ParseProto(Proto(p).String())
		if want := p != 0; ok != want || want && got != Proto(p) {
			t.Errorf("%d reads back as %d, %v", p, got, ok)
		}
	}
	for text, want := range map[string]Proto{"tcp": TCP, "icmpv6": ICMPv6, "17": UDP, "sctp": SCTP, "132": SCTP, "igmp": IGMP, "47": 47} {
		if got, ok := ParseProto(text); !ok || got != want {
			t.Errorf("%q is %d, %v", text, got, ok)
		}
	}
	for _, bad := range []string{"", "0", "256", "-1", "TCP", "gre", "6 "} {
		if got, ok := ParseProto(bad); ok {
			t.Errorf("%q is taken for %d", bad, got)
		}
	}
}
