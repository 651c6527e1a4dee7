package wifi

import (
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

type networkKey struct {
	bssid network.MAC
	ssid  name
}

// netRow is what was said of one network. What beacons say goes before what
// probe responses say.
type netRow struct {
	bssid           network.MAC
	ssid            name
	hidden, privacy bool
	dmg             bool // at 60 GHz
	first           int64
	interval, freq  uint16
	signal, weakest int8
	beacons, probes uint64
	said            elements
	wps             wps
	pwn             string
	pwnHash         uint64
}

func (n *netRow) announce(body []byte, r *radio, e *elements, beacon bool) {
	if beacon {
		n.beacons++
		n.hidden = n.hidden || n.ssid.n == 0
	} else {
		n.probes++
	}
	if beacon || n.beacons == 0 {
		n.interval, n.privacy = le.Uint16(body[8:]), le.Uint16(body[10:])&capPrivacy != 0
		n.said = *e
		n.said.rid, n.said.pwn = nil, nil
	}
	if r.freq != 0 {
		n.freq = r.freq
	}
	n.signal, n.weakest = stronger(n.signal, r.signal), weaker(n.weakest, r.signal)
	n.wps.merge(&e.wps)
	if len(e.pwn) > 0 {
		if h := hashBytes(hashStart, e.pwn); h != n.pwnHash {
			n.pwn, n.pwnHash = pwnagotchi(e.pwn), h
		}
	}
}

// reveal finds names of hidden networks: in the probe responses of the same
// access point, when there is one name only, else in what stations asked to
// join.
func (p *Parser) reveal() {
	if !slices.ContainsFunc(p.networks.rows, func(n netRow) bool { return n.hidden }) {
		return
	}
	answered := map[network.MAC]int{}
	for i := range p.networks.rows {
		if n := &p.networks.rows[i]; n.ssid.n != 0 && n.beacons == 0 {
			if _, two := answered[n.bssid]; two {
				answered[n.bssid] = -1
			} else {
				answered[n.bssid] = i
			}
		}
	}
	joined := map[network.MAC]name{}
	for i := range p.clients.rows {
		if c := &p.clients.rows[i]; c.joined.n != 0 {
			joined[c.bssid] = c.joined
		}
	}
	for i := range p.networks.rows {
		n := &p.networks.rows[i]
		if !n.hidden {
			continue
		}
		if at, ok := answered[n.bssid]; ok && at >= 0 {
			n.take(&p.networks.rows[at])
		} else if j, ok := joined[n.bssid]; ok && p.networks.get(networkKey{n.bssid, j}) == nil {
			n.ssid = j
		}
	}
}

// take joins the row of the probe responses to that of the hidden beacons.
func (n *netRow) take(o *netRow) {
	n.ssid, n.first = o.ssid, min(n.first, o.first)
	n.probes += o.probes
	n.signal, n.weakest = stronger(n.signal, o.signal), weaker(n.weakest, o.weakest)
	n.wps.merge(&o.wps)
	o.probes = 0
}

func (p *Parser) cutNetworks(out *parse.Out) {
	p.reveal()
	for i := range p.networks.rows {
		n := &p.networks.rows[i]
		if n.beacons+n.probes == 0 {
			continue // joined to another
		}
		parse.Add(out, &out.Records.WiFiNetworks, network.WiFiNetwork{
			Time: time.Unix(0, n.first).UTC(), BSSID: n.bssid, SSID: out.Text(n.ssid.bytes()), Hidden: n.hidden,
			Channel: n.said.primary(), Frequency: n.freq, Security: n.security(out),
			PMF: n.said.rsn.pmf(), WPS: out.Text(n.wps.text()), Rates: n.said.rateNames(out), Interval: n.interval,
			Signal: n.signal, Weakest: n.weakest, Beacons: n.beacons, Probes: n.probes,
			Fingerprint: hexText(out, n.said.hash), Pwnagotchi: out.Text([]byte(n.pwn)),
		})
	}
}

// Values of the rates elements that are no rates but what a station must know
// to join (Table 9-92).
var membership = map[uint8]string{127: "ht", 126: "vht", 124: "epd", 123: "h2e", 122: "he"}

func (e *elements) rateNames(out *parse.Out) []string {
	names := make([]string, 0, e.numRates)
	var b [16]byte
	for _, r := range e.rates[:e.numRates] {
		t, ok := membership[r&0x7f]
		text := append(b[:0], t...)
		if !ok || r&0x80 == 0 {
			text = strconv.AppendFloat(text[:0], float64(r&0x7f)/2, 'f', -1, 64)
			if r&0x80 != 0 {
				text = append(text, '*')
			}
		}
		names = append(names, out.Intern(text))
	}
	return names
}

// hexText writes a hash; 0 is none.
func hexText(out *parse.Out, h uint64) string {
	if h == 0 {
		return ""
	}
	var b [8]byte
	be.PutUint64(b[:], h)
	var t [16]byte
	hex.Encode(t[:], b[:])
	return out.Intern(t[:])
}
