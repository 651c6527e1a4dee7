package wifi

import (
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

var eventNames = [...]string{"authentication", "association", "reassociation", "deauthentication", "disassociation"}

const (
	evAuthentication uint8 = iota
	evAssociation
	evReassociation
	evDeauthentication
	evDisassociation
)

type eventKey struct {
	kind            uint8
	reason          uint16
	from, to, bssid network.MAC
}

type event struct {
	eventKey
	first  int64
	count  uint64
	signal int8
}

// event counts a change. A code that is not there, or encrypted, is 0.
func (p *Parser) event(kind uint8, code uint16) {
	f := &p.f
	k := eventKey{kind, code, f.a2, f.a1, f.a3}
	e, made := p.events.put(k)
	if e == nil {
		p.c.EventsOver++
		p.over++
		return
	}
	if made {
		e.eventKey, e.first = k, f.ts
	}
	e.count++
	e.signal = stronger(e.signal, p.radio.signal)
}

func (p *Parser) cutEvents(out *parse.Out) {
	for i := range p.events.rows {
		e := &p.events.rows[i]
		parse.Add(out, &out.Records.WiFiEvents, network.WiFiEvent{
			Time: time.Unix(0, e.first).UTC(), Kind: eventNames[e.kind], From: e.from, To: e.to, BSSID: e.bssid,
			Reason: e.reason, Count: e.count, Signal: e.signal,
		})
	}
}
