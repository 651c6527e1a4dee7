package target

import (
	"bytes"
	"net"
	"net/netip"
	"slices"

	"github.com/rind-project/rind/internal/fleet"
)

// Hosts returns whose addresses are. One that several peels have, such as that
// of a bridge for containers or of two sites alike, says nothing of who it is,
// and neither do those that mean the host itself or its link.
func (x *Index) Hosts() map[netip.Addr]fleet.PeelID {
	type owned struct {
		addr [16]byte
		id   fleet.PeelID
	}
	var all []owned
	x.mu.RLock() // for as long as a copy takes
	if c := x.columns[addressKey]; c != nil && c.addresses != nil {
		all = make([]owned, 0, len(c.addresses.sorted)+len(c.addresses.fresh))
		for _, list := range [][]address{c.addresses.sorted, c.addresses.fresh} {
			for _, a := range list {
				if a.peel != nobody {
					all = append(all, owned{a.addr, x.ids[a.peel]})
				}
			}
		}
	}
	x.mu.RUnlock()
	out := make(map[netip.Addr]fleet.PeelID, len(all))
	for _, a := range all {
		addr := netip.AddrFrom16(a.addr).Unmap()
		if !addr.IsGlobalUnicast() {
			continue
		}
		if other, there := out[addr]; there && other != a.id {
			out[addr] = "" // of nobody in particular
			continue
		}
		out[addr] = a.id
	}
	for addr, id := range out {
		if id == "" {
			delete(out, addr)
		}
	}
	return out
}

// Owners returns what each peel is known by on the wire, of those that have
// something of the kind: of the addresses those of Hosts, of the hardware
// addresses those of the interfaces with one of these, if no other peel has
// them. An interface without such an address, as of a container, says nothing
// of the host.
func (x *Index) Owners() []fleet.HostAddresses {
	whose := x.Hosts()
	x.mu.RLock() // for as long as a copy takes; facts never change
	ids, facts := make([]fleet.PeelID, 0, len(x.nums)), make([]*fleet.Facts, 0, len(x.nums))
	for id, num := range x.nums {
		if f := x.facts[num]; f != nil {
			ids, facts = append(ids, id), append(facts, f)
		}
	}
	x.mu.RUnlock()
	out := make([]fleet.HostAddresses, 0, len(ids))
	shared := map[[6]byte]fleet.PeelID{} // "" is several
	for i, id := range ids {
		h := owned(id, facts[i], whose)
		if len(h.Addresses) == 0 {
			continue
		}
		for _, mac := range h.MACs {
			if other, there := shared[mac]; there && other != id {
				shared[mac] = ""
			} else {
				shared[mac] = id
			}
		}
		out = append(out, h)
	}
	for i := range out {
		out[i].MACs = slices.DeleteFunc(out[i].MACs, func(mac [6]byte) bool { return shared[mac] == "" })
	}
	return out
}

// owned is what a peel has of its own, by who has which address.
func owned(id fleet.PeelID, f *fleet.Facts, whose map[netip.Addr]fleet.PeelID) fleet.HostAddresses {
	h := fleet.HostAddresses{ID: id}
	for _, in := range f.Interfaces {
		before := len(h.Addresses)
		for _, text := range in.Addresses {
			if a, ok := parseAddress(text); ok {
				if addr := a.Unmap(); whose[addr] == id {
					h.Addresses = append(h.Addresses, addr)
				}
			}
		}
		if len(h.Addresses) == before {
			continue
		}
		if mac, err := net.ParseMAC(in.MAC); err == nil && len(mac) == 6 && [6]byte(mac) != [6]byte{} {
			h.MACs = append(h.MACs, [6]byte(mac))
		}
	}
	slices.SortFunc(h.Addresses, netip.Addr.Compare)
	h.Addresses = slices.Compact(h.Addresses)
	slices.SortFunc(h.MACs, func(a, b [6]byte) int { return bytes.Compare(a[:], b[:]) })
	h.MACs = slices.Compact(h.MACs)
	return h
}
