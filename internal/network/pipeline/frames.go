package pipeline

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/lldp"
	"github.com/rind-project/rind/internal/network/packet/neighbor"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/wifi"
)

const (
	etherARP   = 0x0806
	maxContent = 2 << 13 // bytes of an 802.11 frame's content that are read
)

// frames are the parsers of packets without ports, and their indexes in
// Pipeline.parsers.
type frames struct {
	neighbors *neighbor.Parser
	links     *lldp.Parser
	wifi      *wifi.Parser
	scratch   []byte // content of an 802.11 frame, as an 802.3 frame

	arp, nd, lldp, cdp, air uint8
}

// frameProtocols are the names of the parsers in frames. Those that share a
// parser have it put its rows into the report once.
func (f *frames) protocols() []protocol {
	return []protocol{
		{name: "arp", sums: f.neighbors}, {name: "nd", sums: f.neighbors},
		{name: "lldp", sums: f.links}, {name: "cdp", sums: f.links},
		{name: "wifi", sums: airCutter{f.wifi}},
	}
}

// airCutter makes the 802.11 parser a parse.Cutter.
type airCutter struct{ p *wifi.Parser }

func (c airCutter) Cut(out *parse.Out, _ time.Time, _ bool) { c.p.Cut(out) }

// setFrames adds the parsers of packets without ports.
func (p *Pipeline) setFrames() {
	p.frames = frames{neighbors: neighbor.New(), links: lldp.New(), wifi: wifi.New(wifi.Limits{})}
	f := &p.frames
	for i, at := range []*uint8{&f.arp, &f.nd, &f.lldp, &f.cdp, &f.air} {
		*at = uint8(len(p.parsers))
		p.parsers = append(p.parsers, parser{protocol: f.protocols()[i]})
	}
}

// frame looks into a frame that is not IP.
func (p *Pipeline) frame() {
	k, f := &p.pkt, &p.frames
	switch {
	case k.EtherType == etherARP:
		p.readFrame(f.arp)
	case k.EtherType == lldp.EtherType:
		p.readFrame(f.lldp)
	case k.EtherType < 0x600 && lldp.LooksLikeCDP(k.Payload):
		p.readFrame(f.cdp)
	}
}

// readFrame calls a parser of frames, or of neighbor discovery.
func (p *Pipeline) readFrame(i uint8) {
	if p.parsers[i].off {
		return
	}
	k, f := &p.pkt, &p.frames
	none := &p.rows
	a := p.enter(i, none, &p.rowsOf)
	p.out.Flow = nil // rows are bounded by the parser's own table
	p.out.Session = network.Session{Time: time.Unix(0, k.Time).UTC(), VLAN: k.VLAN}
	var err error
	switch i {
	case f.arp:
		err = f.neighbors.ARP(p.out, k.Payload)
	case f.nd:
		err = f.neighbors.ND(p.out, neighbor.Header{
			MAC: k.SrcMAC, Src: addr(k.Src), HopLimit: k.TTL, Type: uint8(k.SrcPort), Code: k.Code,
		}, k.Payload)
	case f.lldp:
		err = f.links.LLDP(p.out, k.SrcMAC, k.Payload)
	case f.cdp:
		err = f.links.CDP(p.out, k.SrcMAC, k.Payload)
	}
	p.leave(a)
	switch {
	case err == nil:
		a.counters.Recognised++
	case errors.Is(err, parse.ErrNot):
		a.counters.Not++
	default:
		a.counters.Malformed++
	}
}

func addr(a packet.Addr) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], a.Hi)
	binary.BigEndian.PutUint64(b[8:], a.Lo)
	return netip.AddrFrom16(b).Unmap()
}

// radioFrame takes an 802.11 frame. What it carries in the clear goes on like
// an Ethernet frame: the first content counts with the bytes of the frame,
// what else an aggregated frame holds with none.
func (p *Pipeline) radioFrame(ts int64, link packet.LinkType, data []byte, wireLen int) {
	f := &p.frames
	a := p.enter(f.air, &p.rows, &p.rowsOf)
	p.out.Flow = nil
	inner, status := f.wifi.Frame(ts, link, data, wireLen)
	p.leave(a)
	if status.Malformed() {
		p.ledger.Malformed++
		p.counters.WiFi.Malformed++
		return
	}
	a.counters.Recognised++
	if status != wifi.Content {
		p.ledger.Summarised++
		p.counters.WiFi.Frames++
		return
	}
	p.take(ts, p.content(&inner, max(wireLen, len(data))))
	for {
		a := p.enter(f.air, &p.rows, &p.rowsOf)
		inner, more := f.wifi.More()
		p.leave(a)
		if !more {
			return
		}
		before := p.ledger
		p.take(ts, p.content(&inner, 0))
		p.counters.WiFi.Aggregated += p.ledger.Summarised - before.Summarised
		p.ledger = before // the frame was counted with its first content
	}
}

// content decodes what an 802.11 frame carries into the packet in hand.
func (p *Pipeline) content(in *wifi.Inner, wireLen int) packet.Status {
	b := append(p.frames.scratch[:0], in.Dst[:]...)
	b = append(b, in.Src[:]...)
	body := in.Data[:min(len(in.Data), maxContent)]
	b = binary.BigEndian.AppendUint16(b, uint16(min(in.OnNet, 1500)))
	b = append(b, body...)
	p.frames.scratch = b
	status := p.decoder.Decode(packet.LinkEthernet, b, 14+max(in.OnNet, len(body)), &p.pkt)
	p.pkt.WireLen = uint32(wireLen)
	return status
}
