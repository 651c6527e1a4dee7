package wifi

import (
	"fmt"

	"github.com/rind-project/rind/internal/network/packet/parse"
)

const maxSuites = 8

// suites is an RSN element (IEEE 802.11-2020, 9.4.2.24), or the WPA element
// that came before it.
type suites struct {
	present  bool
	nCipher  uint8
	nAKM     uint8
	group    uint32
	ciphers  [maxSuites]uint32
	akms     [maxSuites]uint32
	caps     uint16
	hasCaps  bool
	standard uint32 // the OUI of the element's own suites
}

// parse reads what follows the version. Every field may be missing from its
// place on: then it is the default, CCMP and 802.1X (TKIP in WPA).
func (s *suites) parse(b []byte, oui uint32) {
	*s = suites{present: true, standard: oui, nCipher: 1, nAKM: 1}
	cipher := oui<<8 | 4
	if oui == ouiMSFT {
		cipher = oui<<8 | 2
	}
	s.group, s.ciphers[0], s.akms[0] = cipher, cipher, oui<<8|1
	if len(b) < 4 {
		return
	}
	s.group, b = be.Uint32(b), b[4:]
	var ok bool
	if b, ok = list(b, &s.ciphers, &s.nCipher); !ok {
		return
	}
	if b, ok = list(b, &s.akms, &s.nAKM); !ok {
		return
	}
	if len(b) >= 2 {
		s.caps, s.hasCaps = le.Uint16(b), true
	}
}

// list reads a count and that many selectors, of which the first 8 are kept.
func list(b []byte, to *[maxSuites]uint32, n *uint8) ([]byte, bool) {
	if len(b) < 2 {
		return nil, false
	}
	count := int(le.Uint16(b))
	b = b[2:]
	if count == 0 || len(b) < 4*count {
		return b, count == 0
	}
	*n = uint8(min(count, maxSuites))
	for i := range int(*n) {
		to[i] = be.Uint32(b[4*i:])
	}
	return b[4*count:], true
}

// Capabilities of an RSN element that are of management frame protection.
const (
	mfpRequired = 1 << 6
	mfpCapable  = 1 << 7
)

// pmf names the management frame protection.
func (s *suites) pmf() string {
	switch {
	case s.caps&mfpRequired != 0:
		return "required"
	case s.caps&mfpCapable != 0:
		return "capable"
	}
	return "none"
}

// akmNames are the authentication suites of 00-0F-AC (Table 9-151), with the
// generation that brought them.
var akmNames = map[uint32]string{
	1: "WPA2-EAP", 2: "WPA2-PSK", 3: "WPA2-FT-EAP", 4: "WPA2-FT-PSK", 5: "WPA2-EAP-SHA256", 6: "WPA2-PSK-SHA256",
	7: "TDLS", 8: "WPA3-SAE", 9: "WPA3-FT-SAE", 10: "AP-PEER-KEY", 11: "WPA3-EAP-SUITE-B", 12: "WPA3-EAP-SUITE-B-192",
	13: "WPA3-FT-EAP-SHA384", 14: "FILS-SHA256", 15: "FILS-SHA384", 16: "FT-FILS-SHA256", 17: "FT-FILS-SHA384",
	18: "OWE", 19: "WPA2-FT-PSK-SHA384", 20: "WPA2-PSK-SHA384", 23: "WPA3-EAP-SHA384", 24: "WPA3-SAE-EXT-KEY",
	25: "WPA3-FT-SAE-EXT-KEY",
}

// cipherNames are the cipher suites of 00-0F-AC (Table 9-149); those of WPA
// have the same numbers.
var cipherNames = map[uint32]string{
	1: "WEP40", 2: "TKIP", 4: "CCMP", 5: "WEP104", 6: "BIP-CMAC", 7: "NO-GROUP", 8: "GCMP", 9: "GCMP-256", 10: "CCMP-256",
	11: "BIP-GMAC", 12: "BIP-GMAC-256", 13: "BIP-CMAC-256",
}

func (s *suites) akm(v uint32) string {
	switch {
	case v>>8 == ouiMSFT && v&0xff == 1:
		return "WPA-EAP"
	case v>>8 == ouiMSFT && v&0xff == 2:
		return "WPA-PSK"
	case v>>8 == ouiIEEE && akmNames[v&0xff] != "":
		return akmNames[v&0xff]
	}
	prefix := "WPA2-"
	if s.standard == ouiMSFT {
		prefix = "WPA-"
	}
	return fmt.Sprintf("%s%08X", prefix, v)
}

func (s *suites) cipher(v uint32) string {
	if v&0xff == 0 { // the group's
		v = s.group
	}
	if n := cipherNames[v&0xff]; n != "" && (v>>8 == ouiIEEE || v>>8 == ouiMSFT) {
		return n
	}
	return fmt.Sprintf("%08X", v)
}

// names appends AKM-CIPHER for each pair.
func (s *suites) names(out *parse.Out, to []string) []string {
	if !s.present {
		return to
	}
	for _, a := range s.akms[:s.nAKM] {
		for _, c := range s.ciphers[:s.nCipher] {
			to = append(to, out.Intern([]byte(s.akm(a)+"-"+s.cipher(c))))
		}
	}
	return to
}

// security names what a network offers. One without suites is WEP when its
// privacy bit is set, else open; at 60 GHz beacons name no suites, and WEP does
// not exist.
func (n *netRow) security(out *parse.Out) []string {
	names := n.said.wpa.names(out, nil)
	names = n.said.rsn.names(out, names)
	switch {
	case len(names) > 0:
	case n.privacy && n.dmg:
		names = append(names, "DMG")
	case n.privacy:
		names = append(names, "WEP")
	case n.said.owe:
		names = append(names, "OWE-TRANSITION")
	default:
		names = append(names, "OPEN")
	}
	return names
}
