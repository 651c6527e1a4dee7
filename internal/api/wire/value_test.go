package wire

import (
	"net/netip"
	"testing"
	"time"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestWhen(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		"now": now, "1h": now.Add(-time.Hour), "15m": now.Add(-15 * time.Minute), "7d": now.Add(-7 * 24 * time.Hour),
		"2026-01-02": time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), "2026-01-02T03:04:05+01:00": time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC),
		"2026-01-02T03:04:05.123456Z": time.Date(2026, 1, 2, 3, 4, 5, 123456000, time.UTC),
	} {
		var w When
		if err := w.UnmarshalText([]byte(text)); err != nil || !w.Or(now, time.Time{}).Equal(want) {
			t.Errorf("%q is %s (%v), want %s", text, w.Or(now, time.Time{}), err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "-1h", "1", "h", "1e9h", "9999999d", "-7d", "2026-13-01", "now "[:2]} {
		if err := new(When).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for a time", text)
		}
	}
	if got := (When{}).Or(now, now.Add(time.Hour)); !got.Equal(now.Add(time.Hour)) {
		t.Errorf("nothing is %s", got)
	}
}

func TestNet(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "192.0.2.0/24": "192.0.2.0/24", "2001:db8::7": "2001:db8::7/128",
		"::ffff:192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.0/120": "192.0.2.0/24", "0.0.0.0/0": "0.0.0.0/0", "::/0": "::/0",
	} {
		var n Net
		if err := n.UnmarshalText([]byte(text)); err != nil || n.Prefix != netip.MustParsePrefix(want) {
			t.Errorf("%q is %s (%v), want %s", text, n, err, want)
		}
	}
	for _, text := range []string{"", "x", "192.0.2", "192.0.2.7/24", "fe80::1%eth0", "::ffff:0.0.0.0/95", "192.0.2.0/33", "010.0.0.1", "1.2.3.4:80"} {
		if err := new(Net).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for an address", text)
		}
	}
}

func FuzzValues(f *testing.F) {
	for _, s := range []string{"1h", "now", "2026-01-02", "192.0.2.0/24", "::1", "1.2", "-1.-1", "7d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var w When
		if w.UnmarshalText([]byte(s)) == nil && w.ago < 0 {
			t.Errorf("%q lies in the future", s)
		}
		var n Net
		if n.UnmarshalText([]byte(s)) == nil && n.Prefix != n.Masked() {
			t.Errorf("%q has bits below its length", s)
		}
		var c Cursor
		if c.UnmarshalText([]byte(s)) == nil {
			text, _ := c.MarshalText()
			var again Cursor
			if err := again.UnmarshalText(text); err != nil || again != c {
				t.Errorf("%q became %q", s, text)
			}
		}
	})
}
