package access

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

type addrKey struct{}

func withAddr(ctx context.Context, a netip.Addr) context.Context {
	return context.WithValue(ctx, addrKey{}, a)
}

// ClientAddr is the address of who sent the request, as the Guard found it:
// that of the connection, or, when that is a trusted proxy, the one for which
// the proxy speaks. It is the zero Addr on a unix socket. Without a Guard
// X-Forwarded-For counts for nothing.
func ClientAddr(r *http.Request) netip.Addr {
	if a, ok := r.Context().Value(addrKey{}).(netip.Addr); ok {
		return a
	}
	return clientAddr(r, nil)
}

// maxHops bounds how many proxies are believed in a row.
const maxHops = 16

// clientAddr walks X-Forwarded-For from its end, which the nearest proxy
// wrote, as long as the writer is trusted. What the client itself sent stands
// further in front and is never reached, unless every proxy after it is
// trusted.
func clientAddr(r *http.Request, trusted []netip.Prefix) netip.Addr {
	addr := parseAddr(r.RemoteAddr)
	isTrusted := func(a netip.Addr) bool {
		return a.IsValid() && slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	if !isTrusted(addr) {
		return addr
	}
	rest := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	for range maxHops {
		i := strings.LastIndexByte(rest, ',')
		next := parseAddr(strings.TrimSpace(rest[i+1:]))
		if !next.IsValid() {
			return addr // the last one known for certain
		}
		addr = next
		if i < 0 || !isTrusted(addr) {
			return addr
		}
		rest = rest[:i]
	}
	return addr
}

// parseAddr reads an address with or without a port, unmapped and without a
// zone.
func parseAddr(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}
