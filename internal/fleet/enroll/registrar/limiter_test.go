package registrar

import (
	"net/netip"
	"testing"
	"time"
)

func TestLimiterRefillsAndStaysBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	l := newLimiter(1, 2, func() time.Time { return now })
	a := netip.MustParseAddr("192.0.2.1")
	for i, want := range []bool{true, true, false} {
		if got := l.allow(a) == nil; got != want {
			t.Errorf("request %d: %v", i, got)
		}
	}
	now = now.Add(time.Second)
	if l.allow(a) != nil || l.allow(a) == nil {
		t.Error("after a second there is one more, and no second")
	}
	next := netip.MustParseAddr("10.0.0.0")
	for range maxAddresses + 10 {
		if err := l.allow(next); err != nil {
			t.Fatal(err)
		}
		next = next.Next()
	}
	if n := len(l.byAddr); n > maxAddresses {
		t.Errorf("%d addresses are remembered", n)
	}
	if l.allow(netip.Addr{}) != nil {
		t.Error("a caller without an address, from the unix socket, was refused")
	}
}
