package target

import (
	"net/netip"

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
