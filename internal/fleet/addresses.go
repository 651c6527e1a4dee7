package fleet

import "net/netip"

// HostAddresses are what a host is known by on the wire: the addresses that no
// other host has, and the hardware addresses of the interfaces that carry them.
type HostAddresses struct {
	ID        PeelID
	Addresses []netip.Addr // sorted, each once, IPv4 as IPv4
	MACs      [][6]byte    // sorted, each once
}
