package network

import (
	"fmt"
	"net"
)

// MAC is a hardware address of six bytes; all zero is none.
type MAC [6]byte

// String returns the address as aa:bb:cc:dd:ee:ff, or "" when there is none.
func (m MAC) String() string {
	if m == (MAC{}) {
		return ""
	}
	return net.HardwareAddr(m[:]).String()
}

// MarshalText writes the address as String does.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads any form that net.ParseMAC takes; "" is none.
func (m *MAC) UnmarshalText(b []byte) error {
	*m = MAC{}
	if len(b) == 0 {
		return nil
	}
	a, err := net.ParseMAC(string(b))
	if err != nil {
		return err
	}
	if len(a) != len(m) {
		return fmt.Errorf("%q has %d bytes, a hardware address has %d", b, len(a), len(m))
	}
	copy(m[:], a)
	return nil
}
