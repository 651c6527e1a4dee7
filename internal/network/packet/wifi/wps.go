package wifi

import (
	"encoding/json"
	"strings"
)

// Attributes of Wi-Fi Simple Configuration (WSC 2.0.8, 12).
const (
	wpsState     = 0x1044
	wpsName      = 0x1011
	maxWPSName   = 32
	maxWPSFields = 64
)

// wps is what a network says of WPS.
type wps struct {
	state uint8 // 1 unconfigured, 2 configured
	n     uint8
	name  [maxWPSName]byte
}

func (w *wps) parse(b []byte) {
	for i := 0; i < maxWPSFields && len(b) >= 4; i++ {
		id, n := be.Uint16(b), int(be.Uint16(b[2:]))
		if len(b) < 4+n {
			return
		}
		switch v := b[4 : 4+n]; {
		case id == wpsState && n == 1:
			w.state = v[0]
		case id == wpsName:
			w.n = uint8(copy(w.name[:], v))
		}
		b = b[4+n:]
	}
}

// merge takes what o has to say; beacons often leave the name out that probe
// responses tell.
func (w *wps) merge(o *wps) {
	if o.state != 0 {
		w.state = o.state
	}
	if o.n != 0 {
		w.n, w.name = o.n, o.name
	}
}

func (w *wps) text() []byte {
	var b []byte
	switch w.state {
	case 0:
		return nil
	case 1:
		b = append(b, "unconfigured"...)
	case 2:
		b = append(b, "configured"...)
	default:
		b = append(b, "unknown"...)
	}
	if w.n > 0 {
		b = append(append(b, ' '), w.name[:w.n]...)
	}
	return b
}

// pwnagotchi reads the name and the identity in the JSON that a Pwnagotchi
// spreads over elements 222 of its beacons (pwnagotchi/mesh/wifi.py). It is
// "" for anything else. Its answer is bytes of the air still.
func pwnagotchi(b []byte) string {
	var said struct {
		Name     string `json:"name"`
		Identity string `json:"identity"`
	}
	if len(b) == 0 || b[0] != '{' || json.Unmarshal(b, &said) != nil {
		return ""
	}
	return strings.TrimSpace(bound(said.Name) + " " + bound(said.Identity))
}

func bound(s string) string { return s[:min(len(s), 96)] }
