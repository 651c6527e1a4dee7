package wire

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// When is a moment in a query: RFC 3339 ("2026-01-02T15:04:05Z"), a day
// ("2026-01-02", midnight UTC), "now", or how long ago ("15m", "1h", "7d").
// The zero value means that nothing was said.
type When struct {
	at  time.Time
	ago time.Duration
	set bool
}

// maxAgo is the farthest relative moment: ten years.
const maxAgo = 10 * 366 * 24 * time.Hour

// UnmarshalText parses any of the forms.
func (w *When) UnmarshalText(b []byte) error {
	s := strings.TrimSpace(string(b))
	if s == "now" {
		*w = When{set: true}
		return nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			*w = When{at: t.UTC(), set: true}
			return nil
		}
	}
	ago, err := parseSpan(s)
	if err != nil || ago < 0 || ago > maxAgo {
		return fmt.Errorf("%.64q is not a time: give RFC 3339 such as 2026-01-02T15:04:05Z, a day such as 2026-01-02, or how long ago such as 15m, 1h or 7d", s)
	}
	*w = When{ago: ago, set: true}
	return nil
}

// MarshalText writes the moment in the form in which it was given.
func (w When) MarshalText() ([]byte, error) {
	switch {
	case !w.set:
		return nil, nil
	case !w.at.IsZero():
		return []byte(w.at.Format(time.RFC3339Nano)), nil
	case w.ago == 0:
		return []byte("now"), nil
	}
	return []byte(w.ago.String()), nil
}

// Or resolves the moment against now; when nothing was said it is fallback.
func (w When) Or(now, fallback time.Time) time.Time {
	switch {
	case !w.set:
		return fallback
	case !w.at.IsZero():
		return w.at
	}
	return now.Add(-w.ago).UTC()
}

// Span is a length of time in text: "90s", "15m", "1h30m", "7d".
type Span time.Duration

// UnmarshalText parses a span.
func (s *Span) UnmarshalText(b []byte) error {
	d, err := parseSpan(string(b))
	if err != nil || d < 0 || d > maxAgo {
		return fmt.Errorf("%.64q is not a length of time: give a number and a unit such as 90s, 15m, 1h or 7d", string(b))
	}
	*s = Span(d)
	return nil
}

// MarshalText writes the span as time.Duration does.
func (s Span) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }

// Later is a moment to come: RFC 3339 ("2026-01-02T15:04:05Z"), or how long
// from now ("15m", "24h", "2d"). The zero value means that nothing was said.
type Later struct {
	at time.Time
	in time.Duration
}

// UnmarshalText parses either form.
func (l *Later) UnmarshalText(b []byte) error {
	s := strings.TrimPrefix(strings.TrimSpace(string(b)), "+")
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		*l = Later{at: t.UTC()}
		return nil
	}
	d, err := parseSpan(s)
	if err != nil || d <= 0 || d > maxAgo {
		return fmt.Errorf("%.64q is not a moment to come: give RFC 3339 such as 2026-01-02T15:04:05Z, or how long from now such as 15m, 24h or 2d", string(b))
	}
	*l = Later{in: d}
	return nil
}

// MarshalText writes the moment in the form in which it was given.
func (l Later) MarshalText() ([]byte, error) {
	switch {
	case !l.at.IsZero():
		return []byte(l.at.Format(time.RFC3339Nano)), nil
	case l.in > 0:
		return []byte(l.in.String()), nil
	}
	return nil, nil
}

// After resolves the moment against now; it is zero when nothing was said.
func (l Later) After(now time.Time) time.Time {
	if l.in > 0 {
		return now.Add(l.in).UTC()
	}
	return l.at
}

// parseSpan is time.ParseDuration with whole days ("7d") in addition.
func parseSpan(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(s)
}

// Net is an address or a network in a query: "192.0.2.7", "192.0.2.0/24",
// "2001:db8::/32". An address is the network of its own full length.
type Net struct{ netip.Prefix }

// UnmarshalText parses strictly: no zone, and no bits below the prefix.
func (n *Net) UnmarshalText(b []byte) error {
	s := strings.TrimSpace(string(b))
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		n.Prefix = netip.PrefixFrom(addr, addr.BitLen())
		return nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return fmt.Errorf("%.64q is not an address: give one such as 192.0.2.7 or 2001:db8::7, or a network such as 192.0.2.0/24", s)
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return fmt.Errorf("%q mixes IPv4 and IPv6: give the IPv4 network such as 192.0.2.0/24", s)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if p != p.Masked() {
		return fmt.Errorf("%q has bits below its prefix length: did you mean %s?", s, p.Masked())
	}
	n.Prefix = p
	return nil
}

// MarshalText writes the network, an empty text when nothing was said.
func (n Net) MarshalText() ([]byte, error) {
	if !n.IsValid() {
		return nil, nil
	}
	return n.Prefix.MarshalText()
}
