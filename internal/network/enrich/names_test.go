package enrich

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network"
)

func TestNames(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	n := newNames(1000, time.Hour)
	other := netip.MustParseAddr("10.0.0.6")
	say := func(tap network.TapID, who netip.Addr, name string, answers ...string) {
		n.learn(tap, &network.DNSQuery{Client: who, Name: name, Type: 1, Answered: true, Answers: answers}, now)
	}
	say("office", client, "a.example", "alias.example", "203.0.114.9")
	say("office", other, "b.example", "203.0.114.9", "::ffff:203.0.114.10")
	say("plant", client, "c.example", "203.0.114.9")
	say("office", client, "filtered.example", "0.0.0.0", "127.0.0.1", "::")
	n.learn("office", &network.DNSQuery{Client: client, Name: "none.example", Type: 1, Answered: true, RCode: 3, Answers: []string{"203.0.114.11"}}, now)
	n.learn("office", &network.DNSQuery{Client: client, Name: "text.example", Type: 16, Answered: true, Answers: []string{"203.0.114.11"}}, now)
	for _, tc := range []struct {
		tap       network.TapID
		who, addr string
		want      string
	}{
		{"office", "10.0.0.5", "203.0.114.9", "a.example"},        // as it asked itself
		{"office", "::ffff:10.0.0.6", "203.0.114.9", "b.example"}, // as it asked itself
		{"office", "10.0.0.7", "203.0.114.9", "b.example"},        // as anybody asked last
		{"office", "10.0.0.7", "203.0.114.10", "b.example"},       // mapped
		{"plant", "10.0.0.7", "203.0.114.9", "c.example"},         // each tap is its own network
		{"branch", "10.0.0.5", "203.0.114.9", ""},                 // nobody asked there
		{"office", "10.0.0.5", "0.0.0.0", ""},                     // a filter's no
		{"office", "10.0.0.5", "127.0.0.1", ""},                   // a filter's no
		{"office", "10.0.0.5", "203.0.114.11", ""},                // no such name, no address
	} {
		if got := n.find(tc.tap, netip.MustParseAddr(tc.who), netip.MustParseAddr(tc.addr), now); got != tc.want {
			t.Errorf("%s: %s asks for %s: got %q, want %q", tc.tap, tc.who, tc.addr, got, tc.want)
		}
	}
	if got := n.find("office", client, german, now.Add(61*time.Minute)); got != "" {
		t.Errorf("after its time: %q", got)
	}
}

// Whatever is asked, what is remembered stays bounded, and the newest is there.
func TestNamesAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	n := newNames(100, time.Hour)
	for i := range 10_000 {
		addr := netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})
		n.learn("t", &network.DNSQuery{Client: client, Name: fmt.Sprintf("n%d.example", i), Type: 1, Answered: true, Answers: []string{addr.String()}}, now)
		if got, want := n.find("t", client, addr, now), fmt.Sprintf("n%d.example", i); got != want {
			t.Fatalf("the newest is %q, want %q", got, want)
		}
		if n.size() > 100 {
			t.Fatalf("%d are remembered, at most 100", n.size())
		}
	}
	none := newNames(0, time.Hour)
	none.learn("t", &network.DNSQuery{Client: client, Name: "a.example", Type: 1, Answered: true, Answers: []string{"203.0.114.9"}}, now)
	if none.size() != 0 {
		t.Error("names are remembered that were not wanted")
	}
}
