package limit

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// clock is a time that the test moves.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time      { return time.Unix(0, c.at.Load()) }
func (c *clock) add(d time.Duration) { c.at.Add(int64(d)) }
func newLimiter() (*Limiter, *clock) { c := &clock{}; c.add(time.Hour); return New(c.now), c }
func v4(i int) netip.Addr            { return netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}) }

// tries counts how many of n tries are let through.
func tries(l *Limiter, n int, each func(i int) (string, netip.Addr, bool)) int {
	let := 0
	for i := range n {
		if a, _ := l.Try(each(i)); a != nil {
			let++
		}
	}
	return let
}

func TestBursts(t *testing.T) {
	t.Parallel()
	home := netip.MustParseAddr("192.0.2.1")
	v6 := func(format string, i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf(format, i)) }
	for name, tc := range map[string]struct {
		each func(i int) (string, netip.Addr, bool)
		want int
	}{
		"one account, one address":    {func(int) (string, netip.Addr, bool) { return "eve", home, false }, 5},
		"a familiar address":          {func(int) (string, netip.Addr, bool) { return "eve", home, true }, 5},
		"no address":                  {func(int) (string, netip.Addr, bool) { return "eve", netip.Addr{}, false }, 5},
		"many accounts, one address":  {func(i int) (string, netip.Addr, bool) { return fmt.Sprint("u", i), home, false }, 20},
		"one account, many addresses": {func(i int) (string, netip.Addr, bool) { return "eve", v4(i), false }, 20},
		"one account, a mapped address": {func(i int) (string, netip.Addr, bool) {
			return "eve", []netip.Addr{home, netip.AddrFrom16(home.As16())}[i%2], false
		}, 5},
		"one account, mapped addresses": {func(i int) (string, netip.Addr, bool) { return "eve", netip.AddrFrom16(v4(i).As16()), false }, 20},
		"one /64":                       {func(i int) (string, netip.Addr, bool) { return "eve", v6("2001:db8::%x", i), false }, 5},
		"one /64, many accounts":        {func(i int) (string, netip.Addr, bool) { return fmt.Sprint("u", i), v6("2001:db8::%x", i), false }, 20},
		"one /48, many accounts":        {func(i int) (string, netip.Addr, bool) { return fmt.Sprint("u", i), v6("2001:db8:0:%x::1", i), false }, 100},
	} {
		l, _ := newLimiter()
		if got := tries(l, 500, tc.each); got != tc.want {
			t.Errorf("%s: %d of 500 were let through, want %d", name, got, tc.want)
		}
	}
}

// TestParallel checks that a burst from many goroutines gets no more than one
// by one.
func TestParallel(t *testing.T) {
	t.Parallel()
	l, _ := newLimiter()
	var let atomic.Int64
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			if a, _ := l.Try("eve", v4(1), false); a != nil {
				let.Add(1)
			}
		})
	}
	wg.Wait()
	if let.Load() != PairBurst {
		t.Errorf("%d were let through, want %d", let.Load(), PairBurst)
	}
}

func TestRegains(t *testing.T) {
	t.Parallel()
	l, c := newLimiter()
	one := func(int) (string, netip.Addr, bool) { return "eve", v4(1), false }
	tries(l, 10, one)
	_, refusal := l.Try("eve", v4(1), false)
	if refusal == nil || refusal.Wait != time.Minute || refusal.Account {
		t.Fatalf("the refusal is %+v, want one minute of the pair", refusal)
	}
	c.add(refusal.Wait)
	if got := tries(l, 10, one); got != 1 {
		t.Errorf("%d after the wait it told, want 1", got)
	}
	c.add(24 * time.Hour)
	if got := tries(l, 10, one); got != 5 {
		t.Errorf("%d after a day, want 5", got)
	}
	c.add(-time.Hour) // a clock that is set back gives nothing
	if got := tries(l, 10, one); got != 0 {
		t.Errorf("%d after the clock was set back, want 0", got)
	}
}

// TestRefusedTakesNothing checks that a refused try does not use up the other
// buckets, so that hammering one account does not lock the address out.
func TestRefusedTakesNothing(t *testing.T) {
	t.Parallel()
	l, _ := newLimiter()
	tries(l, 1000, func(int) (string, netip.Addr, bool) { return "eve", v4(1), false })
	if got := tries(l, 100, func(i int) (string, netip.Addr, bool) { return fmt.Sprint("u", i), v4(1), false }); got != 15 {
		t.Errorf("%d tries are left to the address, want 20 − 5", got)
	}
}

// TestStrangersCannotLockOut checks that the owner's own address is let in
// while strangers keep the account's bucket empty.
func TestStrangersCannotLockOut(t *testing.T) {
	t.Parallel()
	l, _ := newLimiter()
	tries(l, 1000, func(i int) (string, netip.Addr, bool) { return "admin", v4(i), false })
	home := netip.MustParseAddr("192.0.2.1")
	if _, refusal := l.Try("admin", home, false); refusal == nil || !refusal.Account {
		t.Fatalf("the refusal is %+v, want one of the account", refusal)
	}
	if a, refusal := l.Try("admin", home, true); a == nil {
		t.Errorf("the owner is refused: %+v", refusal)
	}
}

func TestGivesBack(t *testing.T) {
	t.Parallel()
	l, _ := newLimiter()
	for range 100 { // successes do not count
		a, refusal := l.Try("eve", v4(1), false)
		if a == nil {
			t.Fatalf("refused: %+v", refusal)
		}
		a.Succeeded()
	}
	for range 100 {
		a, refusal := l.Try("eve", v4(1), false)
		if a == nil {
			t.Fatalf("refused: %+v", refusal)
		}
		a.Cancel()
	}
	one := func(int) (string, netip.Addr, bool) { return "eve", v4(1), false }
	if got := tries(l, 4, one); got != 4 {
		t.Fatalf("%d of 4", got)
	}
	a, _ := l.Try("eve", v4(1), false)
	a.Succeeded()
	if got := tries(l, 100, one); got != 5 {
		t.Errorf("%d after a success, want 5", got)
	}
}

// TestFlood checks that invented names neither grow the memory without bound
// nor push out a count.
func TestFlood(t *testing.T) {
	t.Parallel()
	l, c := newLimiter()
	one := func(int) (string, netip.Addr, bool) { return "eve", v4(1), false }
	tries(l, 10, one)
	for i := range maxBuckets {
		l.Try(fmt.Sprint("u", i), netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), false)
	}
	if n := len(l.buckets); n > maxBuckets+4 {
		t.Errorf("%d buckets, want at most %d", n, maxBuckets+4)
	}
	if got := tries(l, 10, one); got != 0 {
		t.Errorf("the flood gave eve %d tries back", got)
	}
	c.add(24 * time.Hour)
	if got := tries(l, 10, func(int) (string, netip.Addr, bool) { return "new", v4(7), false }); got != 5 || len(l.buckets) > 10 {
		t.Errorf("a day later a new name gets %d tries with %d buckets, want 5 and few", got, len(l.buckets))
	}
}
