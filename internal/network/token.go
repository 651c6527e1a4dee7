package network

import "strings"

// TokenPrefix starts every tap's token: rindtap_<tap>_<secret>. The tap's name
// is the public part, by which a node finds the token's row; the secret has no
// underscore in it.
const TokenPrefix = "rindtap_"

// Valid reports whether a name can be a tap's: [a-z0-9_-]{1,63}.
func (id TapID) Valid() bool {
	if len(id) == 0 || len(id) > 63 {
		return false
	}
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// TapOfToken returns the tap that a token names. It says nothing about whether
// the token is good.
func TapOfToken(token string) (TapID, bool) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(token), TokenPrefix)
	if !ok {
		return "", false
	}
	i := strings.LastIndexByte(rest, '_')
	if i < 0 || i == len(rest)-1 {
		return "", false
	}
	id := TapID(rest[:i])
	return id, id.Valid()
}
