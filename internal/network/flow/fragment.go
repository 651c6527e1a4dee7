package flow

import "github.com/rind-project/rind/internal/network/packet"

// Fragments gives later fragments the ports of their first one, so that they
// are counted in the same flow. Nothing is held back: a later fragment whose
// first was not seen (or was too long ago for the bounded memory) goes into a
// flow without ports, and the ledger's HeldFragments stays 0.
type Fragments struct {
	hash hasher
	sets [fragmentSets][fragmentWays]fragment
}

const (
	fragmentSets = 1024
	fragmentWays = 4
)

type fragment struct {
	k     key
	time  int64
	ports uint32
	proto uint8
	flags uint8 // 1: filled, 2: one-way
}

// NewFragments makes the memory of 4096 datagrams.
func NewFragments() *Fragments { return &Fragments{hash: newHasher()} }

// fragmentKey is source, destination and id, and for IPv4 the protocol
// (RFC 791, RFC 8200 section 4.5), and the tags.
func fragmentKey(p *packet.Packet) key {
	meta := uint64(p.FragID)<<32 | uint64(p.VLAN&0xfff)<<12 | uint64(p.InnerVLAN&0xfff)
	if p.Version == 4 {
		meta |= uint64(p.Proto) << 24
	}
	return key{p.Src.Hi, p.Src.Lo, p.Dst.Hi, p.Dst.Lo, meta}
}

// Assign remembers the ports of a first fragment, or gives a later one the
// ports of its first. It changes nothing on a packet that is no fragment.
func (f *Fragments) Assign(p *packet.Packet) {
	if !p.Fragment {
		return
	}
	k := fragmentKey(p)
	set := &f.sets[f.hash.sum(&k)%fragmentSets]
	slot := &set[0]
	for i := range set {
		if e := &set[i]; e.flags != 0 && e.k == k {
			if !p.FirstFrag {
				p.SrcPort, p.DstPort = uint16(e.ports>>16), uint16(e.ports)
				p.Proto, p.HasPorts, p.OneWay = e.proto, true, e.flags&2 != 0
				return
			}
			slot = e
			break
		} else if e.time < slot.time {
			slot = e
		}
	}
	if !p.FirstFrag || !p.HasPorts {
		return
	}
	*slot = fragment{k: k, time: p.Time, ports: uint32(p.SrcPort)<<16 | uint32(p.DstPort), proto: p.Proto, flags: 1}
	if p.OneWay {
		slot.flags |= 2
	}
}
