package wifi

import (
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

const maxWanted = 16

// How sure it is that an address is a station's.
const (
	heard   uint8 = iota // it only sent control frames, as access points do too
	maybe                // it sent what both do; it is one unless it is an access point
	station              // it did what stations do
)

type client struct {
	first           int64
	mac, bssid      network.MAC
	sure            uint8
	signal          int8
	sent, got       uint64
	sentLen, gotLen uint64
	mgmt, control   uint64
	hash            uint64
	joined          name // it asked to associate with
	wanted          []name
}

// client returns the row of a station, nil when the address is no station's or
// the table is full.
func (p *Parser) client(mac network.MAC, sure uint8) *client {
	if group(mac) {
		return nil
	}
	c, made := p.clients.put(mac)
	if c == nil {
		p.c.ClientsOver++
		p.over++
		return nil
	}
	if made {
		c.mac, c.first = mac, p.f.ts
	}
	c.sure = max(c.sure, sure)
	if mac == p.f.a2 && p.f.hasTA {
		c.signal = stronger(c.signal, p.radio.signal)
	}
	return c
}

// want keeps a name that a station probed for.
func (p *Parser) want(c *client, n name) {
	for i := range c.wanted {
		if c.wanted[i] == n {
			return
		}
	}
	if len(c.wanted) >= maxWanted {
		p.c.NamesOver++
		return
	}
	c.wanted = append(c.wanted, n)
}

func (p *Parser) cutClients(out *parse.Out) {
	points := make(map[network.MAC]bool, len(p.networks.rows))
	for i := range p.networks.rows {
		points[p.networks.rows[i].bssid] = true
	}
	for i := range p.clients.rows {
		c := &p.clients.rows[i]
		if c.sure == heard || c.sure == maybe && points[c.mac] {
			continue
		}
		row := network.WiFiClient{
			Time: time.Unix(0, c.first).UTC(), MAC: c.mac, Random: c.mac[0]&2 != 0, BSSID: c.bssid, Signal: c.signal,
			DataSent: c.sent, DataGot: c.got, BytesSent: c.sentLen, BytesGot: c.gotLen, Management: c.mgmt,
			Control: c.control, Fingerprint: hexText(out, c.hash),
		}
		for _, n := range c.wanted {
			row.Wanted = append(row.Wanted, out.Text(n.bytes()))
		}
		parse.Add(out, &out.Records.WiFiClients, row)
	}
}

// stronger is the higher of two signals; 0 is none.
func stronger(a, b int8) int8 {
	if a == 0 || b != 0 && b > a {
		return b
	}
	return a
}

func weaker(a, b int8) int8 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
