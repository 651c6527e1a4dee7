package wifi

import "github.com/rind-project/rind/internal/network"

// Subtypes of management frames (IEEE 802.11-2020, 9.2.4.1.3).
const (
	mgmtAssocReq    = 0
	mgmtAssocResp   = 1
	mgmtReassocReq  = 2
	mgmtReassocResp = 3
	mgmtProbeReq    = 4
	mgmtProbeResp   = 5
	mgmtBeacon      = 8
	mgmtDisassoc    = 10
	mgmtAuth        = 11
	mgmtDeauth      = 12
	mgmtAction      = 13
	mgmtActionNoAck = 14
)

func (p *Parser) management() {
	f := &p.f
	if f.flags&protected != 0 {
		p.c.Protected++
		// The body of an authentication (of shared keys) and of a robust
		// management frame is not to be read.
		f.body = nil
	}
	switch f.subtype {
	case mgmtBeacon, mgmtProbeResp:
		p.announcement()
	case mgmtProbeReq:
		p.probe()
	case mgmtAction, mgmtActionNoAck:
		p.action()
	case mgmtAuth:
		p.between(evAuthentication, p.code(4), true)
	case mgmtAssocReq:
		p.join(evAssociation, 4)
	case mgmtReassocReq:
		p.join(evReassociation, 10)
	case mgmtAssocResp:
		p.between(evAssociation, p.code(2), true)
	case mgmtReassocResp:
		p.between(evReassociation, p.code(2), true)
	case mgmtDeauth:
		p.between(evDeauthentication, p.code(0), false)
	case mgmtDisassoc:
		p.between(evDisassociation, p.code(0), false)
	default:
		p.manager(station)
	}
}

// code is a status or reason code in the body; 0 when it is not there.
func (p *Parser) code(at int) uint16 {
	if len(p.f.body) < at+2 {
		return 0
	}
	return le.Uint16(p.f.body[at:])
}

// manager counts a management frame to the station that sent it, which an
// access point is not.
func (p *Parser) manager(sure uint8) *client {
	f := &p.f
	if f.a2 == f.a3 {
		return nil
	}
	c := p.client(f.a2, sure)
	if c != nil {
		c.mgmt++
	}
	return c
}

// between counts a change between a station and an access point. Whom an
// access point answers is a station; whom it only sends away (as anybody can
// in its name) need not be there.
func (p *Parser) between(kind uint8, code uint16, answers bool) {
	f := &p.f
	p.event(kind, code)
	if c := p.manager(station); c != nil {
		c.meet(f.a3)
	} else if answers && f.a2 == f.a3 {
		if c := p.client(f.a1, station); c != nil {
			c.meet(f.a3)
		}
	}
}

// join is a request to associate; its elements begin at a place in the body.
func (p *Parser) join(kind uint8, at int) {
	f := &p.f
	p.event(kind, 0)
	c := p.manager(station)
	if c == nil {
		return
	}
	c.meet(f.a3)
	if len(f.body) < at {
		return
	}
	p.elements(at)
	if p.el.hasSSID && !p.el.ssid.hidden() {
		c.joined = p.el.ssid
	}
}

func (p *Parser) elements(at int) {
	p.el.parse(p.f.body[at:], len(p.f.body) < p.f.onNet)
	if p.el.bad {
		p.c.BadElements++
	}
}

func (p *Parser) probe() {
	c := p.manager(station)
	if c == nil || len(p.f.body) == 0 {
		return
	}
	p.elements(0)
	c.hash = p.el.hash
	if p.el.hasSSID && !p.el.ssid.hidden() {
		p.want(c, p.el.ssid)
	}
}

// fixed fields of beacons and probe responses: time, interval, capabilities.
const (
	announceHead = 12
	capPrivacy   = 0x10
)

// announcement is a beacon or a probe response (9.3.3.2, 9.3.3.10).
func (p *Parser) announcement() {
	f := &p.f
	if len(f.body) < announceHead || group(f.a3) {
		return
	}
	p.elements(announceHead)
	e := &p.el
	beacon := f.subtype == mgmtBeacon
	if e.rid != nil && beacon {
		p.drones.Message(f.ts, f.a2, "wifi-beacon", p.radio.signal, e.rid)
	}
	n := p.network(f.a3)
	if n == nil {
		return
	}
	n.announce(f.body, &p.radio, e, beacon)
	if !beacon && f.a2 == f.a3 {
		p.client(f.a1, station) // whom it answers has asked
	}
}

// network returns the row of the network that the elements in hand name.
func (p *Parser) network(bssid network.MAC) *netRow {
	ssid := p.el.ssid
	if ssid.hidden() {
		ssid = name{}
	}
	n, made := p.networks.put(networkKey{bssid, ssid})
	if n == nil {
		p.c.NetworksOver++
		p.over++
		return nil
	}
	if made {
		n.bssid, n.ssid, n.first = bssid, ssid, p.f.ts
	}
	return n
}

// Fixed fields of a DMG beacon: time, sector sweep, interval, control of the
// interval, parameters; then elements (9.3.4.2).
const (
	extDMGBeacon  = 0
	dmgHead       = 20
	dmgInterval   = 11
	dmgControl    = 13
	dmgParameters = 19
	dmgCluster    = 8 // bytes more, when its bit is set
)

func (p *Parser) dmgBeacon() {
	f := &p.f
	if f.subtype != extDMGBeacon || len(f.body) < dmgHead || group(f.a1) {
		return
	}
	at := dmgHead
	if f.body[dmgControl]&1 != 0 {
		at += dmgCluster
	}
	p.elements(min(at, len(f.body)))
	n := p.network(f.a1)
	if n == nil {
		return
	}
	n.dmg = true
	n.announce(f.body, &p.radio, &p.el, true)
	n.interval = le.Uint16(f.body[dmgInterval:])
	n.privacy = f.body[dmgParameters]&capPrivacy != 0
}

const (
	categoryPublic = 4
	vendorSpecific = 9
	nanType        = 0x13
	nanService     = 3
)

// nanRemoteID is the service id of Remote ID in Neighbor Awareness
// Networking: of the name org.opendroneid.remoteid.
var nanRemoteID = [6]byte{0x88, 0x69, 0x19, 0x9d, 0x92, 0x09}

// action looks for a Remote ID in a NAN service discovery frame (Wi-Fi Aware
// 4.0, 9.2; ASTM F3411-22a, 5.4.8).
func (p *Parser) action() {
	f := &p.f
	if len(f.body) < 6 || f.body[0] != categoryPublic {
		if c := p.manager(station); c != nil {
			c.meet(f.a3)
		}
		return
	}
	p.manager(maybe)
	if f.body[1] != vendorSpecific || be.Uint32(f.body[2:]) != ouiWFA<<8|nanType {
		return
	}
	for b := f.body[6:]; len(b) >= 3; {
		n := int(le.Uint16(b[1:]))
		if len(b) < 3+n {
			return
		}
		if v := b[3 : 3+n]; b[0] == nanService && n >= 11 && [6]byte(v) == nanRemoteID {
			p.nan(f.a2, v[8:])
		}
		b = b[3+n:]
	}
}

// nan reads the service info of a service descriptor attribute, from its
// control field on.
func (p *Parser) nan(mac network.MAC, v []byte) {
	control, v := v[0], v[1:]
	if control&0x40 != 0 { // a bitmap of bound attributes
		v = v[min(len(v), 2):]
	}
	if control&0x04 != 0 { // a matching filter
		v = skip(v)
	}
	if control&0x08 != 0 { // a response filter
		v = skip(v)
	}
	if control&0x10 == 0 || len(v) < 3 {
		return
	}
	n := int(v[0])
	if v = v[1:]; len(v) < n || n < 2 {
		return
	}
	p.drones.Message(p.f.ts, mac, "wifi-nan", p.radio.signal, v[1:n]) // after the counter
}

// skip passes over a field that begins with its length.
func skip(v []byte) []byte {
	if len(v) == 0 {
		return nil
	}
	return v[min(len(v), 1+int(v[0])):]
}
