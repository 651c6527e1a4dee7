package flow

import (
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet"
)

// Fragments gives later fragments the ports of their first one, so that they
// are counted in the same flow, and puts datagrams together for the parsers.
// No packet is held back: a later fragment whose first was not seen (or was
// too long ago for the bounded memory) goes into a flow without ports, and the
// ledger's HeldFragments stays 0. What is kept is a copy of payloads.
type Fragments struct {
	hash    hasher
	sets    [fragmentSets][fragmentWays]fragment
	parts   *datagrams // made for the first fragment
	limits  FragmentLimits
	decoder packet.Decoder
}

const (
	fragmentSets = 1024
	fragmentWays = 4
)

// fragment is what the first fragment of a datagram said of its flow.
type fragment struct {
	k          key
	time       int64
	src, dst   packet.Addr
	tunnel     uint64
	ports      uint32
	vlan, in   uint16
	proto, ver uint8
	flags      uint8
}

// Bits of fragment.flags.
const (
	fragKnown = 1 << iota
	fragPorts
	fragOneWay
)

// NewFragments makes the memory of 4096 datagrams, and puts them together
// within the default limits.
func NewFragments() *Fragments { return NewFragmentsWithin(FragmentLimits{}) }

// NewFragmentsWithin is NewFragments with limits.
func NewFragmentsWithin(l FragmentLimits) *Fragments {
	return &Fragments{hash: newHasher(), limits: l.orDefaults()}
}

// Stats returns the counters.
func (f *Fragments) Stats() FragmentStats {
	if f.parts == nil {
		return FragmentStats{}
	}
	return f.parts.stats
}

// fragmentKey is source, destination and id, and for IPv4 the protocol
// (RFC 791, RFC 8200 section 4.5), the tags and the tunnel.
func fragmentKey(p *packet.Packet) key {
	meta := uint64(p.FragID) << 32
	if p.FragVersion == 4 {
		meta |= uint64(p.FragNext)
	}
	return key{p.FragSrc.Hi, p.FragSrc.Lo, p.FragDst.Hi, p.FragDst.Lo, meta, p.FragWay}
}

// Assign remembers the flow of a first fragment, or makes a later one a packet
// of the flow of its first. The payload of a fragment that is kept goes; the
// one that makes the datagram whole gets all of it, and stays as it is until
// the next call. It changes nothing on a packet that is no fragment.
func (f *Fragments) Assign(p *packet.Packet) {
	if !p.Fragment {
		return
	}
	k := fragmentKey(p)
	sum := f.hash.sum(&k)
	f.assign(p, k, sum)
	if f.parts == nil {
		f.parts = newDatagrams(f.limits)
	}
	whole, kept := f.parts.add(p, k, sum)
	switch {
	case whole != nil:
		f.decoder.Datagram(p, whole)
	case kept:
		p.Payload = nil
	}
}

func (f *Fragments) assign(p *packet.Packet, k key, sum uint64) {
	set := &f.sets[sum%fragmentSets]
	slot := &set[0]
	for i := range set {
		if e := &set[i]; e.flags != 0 && e.k == k {
			if !p.FirstFrag {
				e.apply(p)
				return
			}
			slot = e
			break
		} else if e.time < slot.time {
			slot = e
		}
	}
	if !p.FirstFrag {
		return
	}
	*slot = fragment{
		k: k, time: p.Time, src: p.Src, dst: p.Dst, tunnel: uint64(p.Tunnel)<<32 | uint64(p.TunnelID),
		ports: uint32(p.SrcPort)<<16 | uint32(p.DstPort), vlan: p.VLAN, in: p.InnerVLAN,
		proto: p.Proto, ver: p.Version, flags: fragKnown,
	}
	if p.HasPorts {
		slot.flags |= fragPorts
	}
	if p.OneWay {
		slot.flags |= fragOneWay
	}
}

// apply makes a later fragment a packet of the first one's flow.
func (e *fragment) apply(p *packet.Packet) {
	p.Src, p.Dst, p.VLAN, p.InnerVLAN = e.src, e.dst, e.vlan, e.in
	p.SrcPort, p.DstPort, p.Proto, p.Version = uint16(e.ports>>16), uint16(e.ports), e.proto, e.ver
	p.HasPorts, p.OneWay = e.flags&fragPorts != 0, e.flags&fragOneWay != 0
	p.Tunnel, p.TunnelID = network.Tunnel(e.tunnel>>32), uint32(e.tunnel)
}
