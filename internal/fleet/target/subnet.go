package target

import (
	"net/netip"
	"strings"
)

// subnet asks whether any address of the host lies in a network.
type subnet struct{ prefix netip.Prefix }

func parseSubnet(w word) (test, *SyntaxError) {
	if len(w.text) > 64 {
		return nil, w.fail(0, "this is no network; give one such as 10.0.0.0/8 or 2001:db8::/32")
	}
	if !strings.Contains(w.text, "/") {
		addr, err := netip.ParseAddr(w.text)
		if err != nil || addr.Zone() != "" {
			return nil, w.fail(0, "this is no address and no network; give one such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32")
		}
		addr = addr.Unmap()
		return &subnet{netip.PrefixFrom(addr, addr.BitLen())}, nil
	}
	p, err := netip.ParsePrefix(w.text)
	if err != nil {
		return nil, w.fail(0, "this is no network; give one such as 10.0.0.0/8 or 2001:db8::/32")
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if p != p.Masked() {
		return nil, w.fail(0, "%s has bits behind the network's; did you mean %s?", p, p.Masked())
	}
	return &subnet{p}, nil
}

// parseAddress reads an address of an interface: "192.0.2.7/24" or without bits.
func parseAddress(text string) (netip.Addr, bool) {
	host, _, _ := strings.Cut(text, "/")
	a, err := netip.ParseAddr(host)
	return a.WithZone("").Unmap(), err == nil
}

func (t *subnet) has(text string) bool {
	a, ok := parseAddress(text)
	return ok && t.prefix.Contains(a)
}

func (t *subnet) ask(s *subject) (yes, known bool) {
	if s.facts == nil {
		return false, false
	}
	for i := range s.facts.Interfaces {
		for _, a := range s.facts.Interfaces[i].Addresses {
			if t.has(a) {
				return true, true
			}
		}
	}
	return false, true
}

func (t *subnet) why(s *subject, yes bool) []string {
	if s.facts == nil {
		return nil
	}
	var out []string
	for i := range s.facts.Interfaces {
		for _, a := range s.facts.Interfaces[i].Addresses {
			if len(out) < maxWhy && (!yes || t.has(a)) {
				out = append(out, a)
			}
		}
	}
	return out
}
