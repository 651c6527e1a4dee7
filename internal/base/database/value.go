package database

import (
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"
)

// NewID makes an id: a UUIDv7 as text, which sorts by the time it was made.
func NewID() string {
	return uuid.Must(uuid.NewV7()).String() // fails only when the system has no randomness
}

// Micros is a time as it stands in a BIGINT column: microseconds since 1970.
// The zero time is 0.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// FromMicros is the inverse of Micros, in UTC.
func FromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// Addr16 is an address as it stands in a BYTEA column: 16 bytes, IPv4 mapped
// into IPv6, so that one BETWEEN finds a subnet. The zone is dropped; no
// address is nil.
func Addr16(a netip.Addr) []byte {
	if !a.IsValid() {
		return nil
	}
	b := a.As16()
	return b[:]
}

// AddrFrom16 is the inverse of Addr16; IPv4 comes back as IPv4. Anything but
// 16 bytes is no address.
func AddrFrom16(b []byte) netip.Addr {
	if len(b) != 16 {
		return netip.Addr{}
	}
	return netip.AddrFrom16([16]byte(b)).Unmap()
}

// PrefixRange is the first and the last address of a subnet, for
// "addr BETWEEN $1 AND $2".
func PrefixRange(p netip.Prefix) (first, last []byte) {
	if !p.IsValid() {
		return nil, nil
	}
	p = p.Masked()
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	low := p.Addr().As16()
	high := low
	for i := bits; i < 128; i++ {
		high[i/8] |= 0x80 >> (i % 8)
	}
	return low[:], high[:]
}

// Text is s as both engines can store it: valid UTF-8 without NUL, which
// PostgreSQL refuses. What is not becomes U+FFFD. Whatever comes from packets
// or hosts goes through it.
func Text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
