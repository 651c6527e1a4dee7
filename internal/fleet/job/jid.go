package job

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// NewJID makes the id of a job: a UUIDv7 (RFC 9562, section 5.7), which sorts
// by time and is one subject token. Its twelve bits behind the milliseconds
// are the fraction of one (section 6.2, method 3).
func NewJID() string { return jidAt(time.Now()) }

func jidAt(at time.Time) string {
	var b [16]byte
	rand.Read(b[8:]) // never fails
	ms, frac := at.UnixMilli(), at.Nanosecond()%1_000_000
	binary.BigEndian.PutUint64(b[:8], uint64(ms)<<16|7<<12|uint64(frac)*4096/1_000_000)
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// ValidJID reports whether s is an id that NewJID can have made.
func ValidJID(s string) bool {
	if len(s) != 36 || s[14] != '7' || s[19] != '8' && s[19] != '9' && s[19] != 'a' && s[19] != 'b' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
