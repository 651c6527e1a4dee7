// Package wifi reads 802.11 frames that a radio in monitor mode captured
// (IEEE 802.11-2020), behind radiotap, Prism, AVS or no header: networks with
// their security, stations, what happened between them, and drones that
// broadcast a Remote ID.
//
// Frames are hostile bytes: every length is checked against what was captured,
// every walk is linear, every table has a limit, and what did not fit is
// counted. A frame of a station and a network that are known allocates
// nothing.
package wifi

import (
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/remoteid"
)

// Limits of one report. 0 is the default.
type Limits struct {
	Networks int // BSSID and SSID, 4096
	Clients  int // stations, 16384
	Events   int // pairs, kinds and reasons, 8192
	Drones   int // 1024
}

func (l Limits) orDefault() Limits {
	for _, f := range []struct {
		v   *int
		def int
	}{{&l.Networks, 4096}, {&l.Clients, 16384}, {&l.Events, 8192}, {&l.Drones, 1024}} {
		if *f.v <= 0 {
			*f.v = f.def
		}
	}
	return l
}

// Counters count since the parser was made.
type Counters struct {
	Status      [StatusCount]uint64 // frames by what became of them
	RTS         uint64
	CTS         uint64
	ACK         uint64
	BlockAck    uint64 // requests too
	Protected   uint64 // frames whose body is encrypted
	FourAddress uint64 // data frames between access points
	EAPOL       uint64 // data frames with 802.1X in them
	Duplicates  uint64 // repeated data frames, whose content was not handed on again
	Fragments   uint64 // parts of data frames, whose content is not handed on
	AMSDU       uint64 // data frames that hold several
	BadElements uint64 // management frames whose elements do not fit into them

	// What found no room in a table of a report, in frames.
	NetworksOver, ClientsOver, EventsOver, DronesOver uint64
	NamesOver                                         uint64 // names beyond the 16 of a station
	BadRemoteID                                       uint64
}

// Inner is what a data frame carries in the clear: an LLC/SNAP header and
// what follows (IEEE 802, 9.2), with the addresses of its ends.
type Inner struct {
	Src, Dst network.MAC
	Data     []byte // from the SNAP header (AA AA 03) on, as far as captured
	OnNet    int    // length on the air
}

// Parser reads frames and keeps the tables of one report. It is not safe for
// concurrent use.
type Parser struct {
	c        Counters
	radio    radio
	f        frame
	el       elements
	networks table[networkKey, netRow]
	clients  table[network.MAC, client]
	events   table[eventKey, event]
	drones   *remoteid.Table
	last     exchange
	seen     [seenSize]seenFrame
	sub      subframes
	over     uint64 // in this report
}

// New makes a Parser with limits on what a report holds.
func New(l Limits) *Parser {
	l = l.orDefault()
	return &Parser{
		networks: newTable[networkKey, netRow](l.Networks), clients: newTable[network.MAC, client](l.Clients),
		events: newTable[eventKey, event](l.Events), drones: remoteid.NewTable(l.Drones),
	}
}

// Frame reads one frame of link type 105, 119, 127 or 163. ts is nanoseconds
// since 1970, wireLen the length on the air with the capture's header. With
// the status Content it returns what the frame carries; More returns what else
// is in the same frame.
func (p *Parser) Frame(ts int64, link packet.LinkType, data []byte, wireLen int) (Inner, Status) {
	p.sub = subframes{}
	inner, status := p.frame(ts, link, data, max(wireLen, len(data)))
	p.c.Status[status]++
	return inner, status
}

// Counters returns the counters.
func (p *Parser) Counters() Counters {
	c := p.c
	c.DronesOver, c.BadRemoteID = p.drones.Over(), p.drones.Malformed()
	return c
}

func (p *Parser) frame(ts int64, link packet.LinkType, data []byte, wireLen int) (Inner, Status) {
	if !Link(link) {
		return Inner{}, OtherLink
	}
	r := &p.radio
	if !r.header(link, data) {
		return Inner{}, BadRadio
	}
	body := data[r.length:]
	switch {
	case r.noFrame:
		return Inner{}, NoFrame
	case r.bad:
		return Inner{}, BadFCS
	}
	size := wireLen - r.length
	whole := len(body) == size
	fits := r.fcs != no && whole && fcsFits(body)
	switch {
	case r.fcs == yes && whole && !fits:
		return Inner{}, BadFCS
	case fits || r.fcs == yes:
		size = max(size-4, 0)
		body = body[:min(len(body), size)]
	}
	f := &p.f
	if status := f.parse(ts, body, size, r.padded); status != Management {
		return Inner{}, status
	}
	defer p.remember()
	switch f.kind {
	case kindManagement:
		p.management()
		return Inner{}, Management
	case kindControl:
		p.control()
		return Inner{}, Control
	case kindData:
		return p.data()
	}
	p.dmgBeacon()
	return Inner{}, Extension
}

// Link reports whether frames of a link type are for this package.
func Link(l packet.LinkType) bool {
	switch l {
	case packet.LinkIEEE80211, packet.LinkPrism, packet.LinkRadiotap, LinkAVS:
		return true
	}
	return false
}

// Cut appends the rows of the report to out and begins the next one.
func (p *Parser) Cut(out *parse.Out) {
	out.Flow = nil // the rows are of no flow
	p.cutNetworks(out)
	p.cutClients(out)
	p.cutEvents(out)
	p.drones.Cut(out)
	p.networks.clear()
	p.clients.clear()
	p.events.clear()
	out.Over += p.over
	p.over = 0
}
