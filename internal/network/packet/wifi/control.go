package wifi

import "github.com/rind-project/rind/internal/network"

// Subtypes of control frames (IEEE 802.11-2020, 9.2.4.1.3).
const (
	ctlTrigger    = 2
	ctlBeamReport = 4
	ctlNDP        = 5
	ctlBlockReq   = 8
	ctlBlockAck   = 9
	ctlPSPoll     = 10
	ctlRTS        = 11
	ctlCTS        = 12
	ctlACK        = 13
	ctlCFEnd      = 14
	ctlCFEndAck   = 15
)

func controlHasTA(subtype uint8) bool {
	switch subtype {
	case ctlTrigger, ctlBeamReport, ctlNDP, ctlBlockReq, ctlBlockAck, ctlPSPoll, ctlRTS, ctlCFEnd, ctlCFEndAck:
		return true
	}
	return false
}

// exchange is the latest frame: a CTS or ACK names only whom it answers, and
// comes directly after the frame that it answers.
type exchange struct {
	ts     int64
	ta, ra network.MAC
	is     bool
}

const answerWithin = 5_000_000 // ns; a slow frame of full length takes about 2 ms

func (p *Parser) remember() {
	f := &p.f
	p.last = exchange{f.ts, f.a2, f.a1, f.hasTA}
}

func (p *Parser) control() {
	f := &p.f
	from := f.a2
	switch f.subtype {
	case ctlRTS:
		p.c.RTS++
	case ctlBlockReq, ctlBlockAck:
		p.c.BlockAck++
	case ctlPSPoll: // only a station polls, and names its access point
		if c := p.client(from, station); c != nil {
			c.bssid = f.a1
			c.control++
		}
		return
	case ctlCTS, ctlACK:
		if f.subtype == ctlCTS {
			p.c.CTS++
		} else {
			p.c.ACK++
		}
		dt := f.ts - p.last.ts
		if !p.last.is || p.last.ta != f.a1 || dt < 0 || dt > answerWithin {
			return
		}
		from = p.last.ra
	default:
		if !f.hasTA {
			return
		}
	}
	if c := p.client(from, heard); c != nil {
		c.control++
	}
}
