package flow

import (
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet"
)

// reopened reports whether the packet begins a new connection on the endpoints
// of one that is over.
func reopened(r *Record, p *packet.Packet) bool {
	return p.TCPFlags&(packet.SYN|packet.ACK) == packet.SYN &&
		network.TCPState(r.state) >= network.TCPClosed && p.Proto == uint8(network.TCP)
}

// count adds one packet from a side.
func (r *Record) count(p *packet.Packet, side int) {
	if r.pkts[0]|r.pkts[1] == 0 {
		r.first = p.Time
		if r.opened == 0 {
			r.opened = p.Time
		}
	}
	r.pkts[side]++
	r.bytes[side] += uint64(p.WireLen)
	if r.ttl[side] == 0 {
		r.ttl[side] = p.TTL
	}
	if p.Proto == uint8(network.TCP) && p.HasPorts && (!p.Fragment || p.FirstFrag) {
		r.tcp(p, side)
		if p.Whole && !p.Fragment {
			r.segment(p, side)
		}
	}
	r.last = p.Time
}

// open makes the record a new flow, and decides from its first packet who is
// the source; a SYN that comes later may know better.
func (r *Record) open(k *key, p *packet.Packet, side int) {
	*r = Record{}
	r.key, r.bits, r.opened = *k, used, p.Time
	r.mac[side], r.mac[1-side] = p.SrcMAC, p.DstMAC
	r.setSource(side, bySpeaking)
	switch p.Proto {
	case uint8(network.ICMP), uint8(network.ICMPv6):
		if p.OneWay || packet.ICMPRequest(p.Proto, uint8(p.SrcPort)) {
			r.setSource(side, byOpening)
		} else {
			r.setSource(1-side, byPort)
		}
	default:
		if s, d := wellKnown(p.SrcPort), wellKnown(p.DstPort); s && !d {
			r.setSource(1-side, byPort)
		} else if d && !s {
			r.setSource(side, byPort)
		}
	}
}

// tcp follows the connection by the flags of one segment.
func (r *Record) tcp(p *packet.Packet, side int) {
	f := p.TCPFlags
	r.flags[side] |= f
	if p.PayloadOnNet > 0 {
		r.bits |= data0 << side
	}
	state := network.TCPState(r.state)
	switch {
	case f&packet.RST != 0:
		switch {
		case state == network.TCPClosed:
		case state == network.TCPSynSent && side != r.Source():
			state = network.TCPRejected
		case state != network.TCPRejected:
			state = network.TCPReset
		}
	case f&packet.SYN != 0:
		opener := side
		if f&packet.ACK != 0 {
			opener = 1 - side
		}
		if r.strength() < byOpening {
			r.setSource(opener, byOpening)
		}
		r.handshake(p, f&packet.ACK != 0)
		if f&packet.ACK != 0 && state < network.TCPSynReceived {
			state = network.TCPSynReceived
		} else if state == network.TCPNone {
			state = network.TCPSynSent
		}
	case f&packet.FIN != 0:
		r.bits |= fin0 << side
		if state < network.TCPClosing {
			state = network.TCPClosing
		}
		if r.bits&(fin0|fin1) == fin0|fin1 && state == network.TCPClosing {
			state = network.TCPClosed
		}
	case state == network.TCPSynReceived && side == r.Source():
		state = network.TCPEstablished
		if r.bits&synAckSeen != 0 && f&packet.ACK != 0 {
			r.rtt[side] = r.since(p.Time)
			r.bits &^= synAckSeen
		}
	}
	if state < network.TCPEstablished && r.bits&(data0|data1) == data0|data1 {
		state = network.TCPEstablished
	}
	r.state = uint8(state)
}

// wellKnown reports whether a port is a service's: below 1024 (but not 0), or
// one of the registered ports that servers listen on most.
func wellKnown(port uint16) bool {
	if port < 1024 {
		return port != 0
	}
	switch port {
	case 1194, 1433, 1521, 1701, 1723, 1812, 1813, 1883, 1900, 2049, 2055, 2379, 3000, 3128, 3268, 3306, 3389,
		3478, 4222, 4433, 4500, 4739, 4789, 5000, 5060, 5061, 5222, 5353, 5355, 5432, 5671, 5672, 5900, 5985, 5986, 6081,
		6343, 6379, 6443, 6514, 6667, 8000, 8080, 8086, 8443, 8883, 8888, 9000, 9090, 9092, 9100, 9200, 9418, 10250,
		11211, 27017, 51820:
		return true
	}
	return false
}
