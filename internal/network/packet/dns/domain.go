package dns

import (
	"math"
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Domain returns the registered domain of a name as AppendText writes it: the
// public suffix and the label before it (publicsuffix.org, the list that the
// module holds), or "" for a name that is one label, a suffix itself, an
// address, or a reverse name.
func Domain(name string) string {
	if strings.IndexByte(name, '.') < 0 || strings.HasSuffix(name, ".arpa") || strings.HasSuffix(name, ".local") {
		return ""
	}
	if c := name[len(name)-1]; '0' <= c && c <= '9' {
		if _, err := netip.ParseAddr(name); err == nil {
			return ""
		}
	}
	d, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil {
		return ""
	}
	return d
}

// Entropy returns the Shannon entropy of a name's bytes without its dots, in
// thousandths of a bit per byte. A name that people chose has 2,000 to 3,500;
// random letters and digits have more, the longer they are.
func Entropy(name string) uint16 {
	var seen [256]uint16
	n := 0
	for i := range len(name) {
		if c := name[i]; c != '.' {
			seen[c]++
			n++
		}
	}
	if n == 0 {
		return 0
	}
	sum := 0.0
	for i := range len(name) {
		c := name[i]
		if k := seen[c]; k > 0 && c != '.' {
			seen[c] = 0
			sum += float64(k) * math.Log2(float64(k))
		}
	}
	return uint16(math.Round(1000 * (math.Log2(float64(n)) - sum/float64(n))))
}
