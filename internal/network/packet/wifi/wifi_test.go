package wifi_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
	"github.com/rind-project/rind/internal/network/packet/remoteid/remoteidtest"
	"github.com/rind-project/rind/internal/network/packet/wifi"
	"github.com/rind-project/rind/internal/network/packet/wifi/wifitest"
)

const start = 1_700_000_000_000_000_000 // 2023-11-14T22:13:20Z

var (
	ap     = network.MAC{0x00, 0x11, 0x22, 0x33, 0x44, 0x01}
	ap2    = network.MAC{0x00, 0x11, 0x22, 0x33, 0x44, 0x02}
	ap3    = network.MAC{0x00, 0x11, 0x22, 0x33, 0x44, 0x03}
	laptop = network.MAC{0x00, 0xaa, 0xbb, 0xcc, 0xdd, 0x01}
	phone  = network.MAC{0xda, 0xa1, 0x19, 0x00, 0x00, 0x02} // random
	host   = network.MAC{0x00, 0x55, 0x66, 0x77, 0x88, 0x99}

	rates    = wifitest.Element(1, 0x82, 0x84, 0x8b, 0x96, 12, 18, 24, 36)
	extRates = wifitest.Element(50, 48, 72, 96, 108, 0xfb)
	channel6 = wifitest.Element(3, 6)
)

// bare reads frames of link type 105, a millisecond apart.
func bare(p *wifi.Parser, frames ...[]byte) (inner []wifi.Inner, statuses []wifi.Status) {
	for i, f := range frames {
		in, s := p.Frame(start+int64(i)*1e6, packet.LinkIEEE80211, f, len(f))
		statuses = append(statuses, s)
		for ok := s == wifi.Content; ok; in, ok = p.More() {
			inner = append(inner, in)
		}
	}
	return inner, statuses
}

func cut(p *wifi.Parser) network.Records {
	out := parse.NewOut(100000, 8<<20)
	p.Cut(out)
	return out.Cut()
}

// scene is a little of everything that records tell.
func scene() [][]byte {
	w := wifitest.Frame
	sae := wifitest.RSN(4, []byte{4}, []byte{8, 2}, 0x00c0)
	wps := wifitest.Vendor(0x0050f204, 0x10, 0x44, 0, 1, 2, 0x10, 0x11, 0, 4, 'N', 'e', 't', '1')
	assoc := append([]byte{0x31, 0, 10, 0}, wifitest.SSID("hidden one")...)
	hello := `{"name":"kirby","identity":"cafe","epoch":3,"policy":{"x":[1,2]}}`
	pwn := []byte{}
	for _, part := range []string{hello[:20], hello[20:]} {
		pwn = append(pwn, wifitest.Element(222, []byte(part)...)...)
	}
	return [][]byte{
		wifitest.Beacon(ap, 0x0411, wifitest.SSID("café \x01\\ net"), rates, channel6, wifitest.Element(5, 0, 1, 0, 0), sae, extRates, wps),
		wifitest.Beacon(ap, 0x0411, wifitest.SSID("café \x01\\ net"), rates, channel6, wifitest.Element(5, 1, 1, 0, 0), sae, extRates, wps),
		wifitest.Announce(wifitest.ProbeResp, phone, ap, 0x0411, wifitest.SSID("café \x01\\ net"), rates, channel6, sae, wps),
		wifitest.Beacon(ap2, 0x0011, wifitest.SSID("\x00\x00\x00\x00"), rates, wifitest.WPA(2, []byte{2}, []byte{2})),
		wifitest.Beacon(ap3, 0x0001, wifitest.SSID(""), wifitest.Element(61, 36, 0, 0)),
		wifitest.Announce(wifitest.ProbeResp, phone, ap3, 0x0001, wifitest.SSID("lobby"), rates),
		w(wifitest.ProbeReq, 0, wifitest.Broadcast, phone, wifitest.Broadcast, 1, wifitest.SSID(""), rates, extRates),
		w(wifitest.ProbeReq, 0, wifitest.Broadcast, phone, wifitest.Broadcast, 2, wifitest.SSID("home"), rates, extRates),
		w(wifitest.ProbeReq, 0, wifitest.Broadcast, phone, wifitest.Broadcast, 3, wifitest.SSID("work"), rates, extRates),
		w(wifitest.Auth, 0, ap2, laptop, ap2, 1, []byte{0, 0, 1, 0, 0, 0}),
		wifitest.Control(wifitest.ACK, laptop),
		w(wifitest.Auth, 0, laptop, ap2, ap2, 1, []byte{0, 0, 2, 0, 0, 0}),
		wifitest.Control(wifitest.ACK, ap2), // by the laptop
		w(wifitest.AssocReq, 0, ap2, laptop, ap2, 2, assoc),
		w(wifitest.AssocResp, 0, laptop, ap2, ap2, 2, []byte{0x31, 0, 17, 0, 1, 0xc0}),
		w(wifitest.ReassocReq, 0, ap2, laptop, ap2, 2, append([]byte{0x31, 0, 10, 0, 1, 2, 3, 4, 5, 6}, wifitest.SSID("hidden one")...)),
		w(wifitest.QoS, wifitest.ToDS, ap2, laptop, host, 16, []byte{0, 0}, wifitest.SNAP(0x0806, 1, 2, 3)),
		w(wifitest.Data, wifitest.FromDS|wifitest.Protected, laptop, ap2, host, 16, []byte("encrypted")),
		wifitest.Control(wifitest.RTS, ap2, laptop),
		wifitest.Control(wifitest.CTS, laptop),
		wifitest.Control(wifitest.BlockAck, ap2, laptop),
		w(wifitest.Deauth, 0, laptop, ap2, ap2, 1, []byte{7, 0}),
		w(wifitest.Deauth, 0, laptop, ap2, ap2, 1, []byte{7, 0}),
		w(wifitest.Deauth, 0, wifitest.Broadcast, ap2, ap2, 1, []byte{3, 0}),
		w(wifitest.Disassoc, 0, ap2, laptop, ap2, 1, []byte{8, 0}),
		wifitest.Beacon(network.MAC{0xde, 0xad, 0xbe, 0xef, 0xde, 0xad}, 0x0001, pwn),
		wifitest.Beacon(network.MAC{0x60, 0x60, 0x1f, 1, 2, 3}, 0x0001, wifitest.SSID("RID-1"),
			wifitest.Vendor(0xfa0bbc0d, append([]byte{9}, remoteidtest.Pack()...)...)),
		w(wifitest.Action, 0, network.MAC{0x51, 0x6f, 0x9a, 1, 0, 0}, network.MAC{0x60, 0x60, 0x1f, 1, 2, 4}, network.MAC{0x50, 0x6f, 0x9a, 1, 0, 0xff},
			1, remoteidtest.NAN(remoteidtest.Pack())),
	}
}

// TestScene reads frames of every kind behind each capture header; the records
// are the same but for what the header tells.
func TestScene(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		link packet.LinkType
		wrap func([]byte) []byte
	}{
		"radiotap":  {packet.LinkRadiotap, func(f []byte) []byte { return wifitest.Radiotap(0, 2437, -42, f) }},
		"fcs":       {packet.LinkRadiotap, func(f []byte) []byte { return wifitest.Radiotap(0x10, 2437, -42, wifitest.FCS(f)) }},
		"prism":     {packet.LinkPrism, func(f []byte) []byte { return wifitest.Prism(binary.LittleEndian, 6, -42, f) }},
		"prism big": {packet.LinkPrism, func(f []byte) []byte { return wifitest.Prism(binary.BigEndian, 6, -42, wifitest.FCS(f)) }},
		"avs":       {wifi.LinkAVS, func(f []byte) []byte { return wifitest.AVS(6, -42, f) }},
		"avs prism": {packet.LinkPrism, func(f []byte) []byte { return wifitest.AVS(2437, -42, wifitest.FCS(f)) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := wifi.New(wifi.Limits{})
			for i, f := range scene() {
				b := c.wrap(f)
				if _, s := p.Frame(start+int64(i)*1e6, c.link, b, len(b)); s.Malformed() {
					t.Errorf("frame %d: %v", i, s)
				}
			}
			got, err := json.MarshalIndent(cut(p), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "scene.json", append(got, '\n'))
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if parsetest.Update() {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestSecurity(t *testing.T) {
	t.Parallel()
	rsn := wifitest.RSN
	for name, c := range map[string]struct {
		caps     uint16
		elements []byte
		want     string
		pmf      string
	}{
		"open":             {1, nil, "OPEN", "none"},
		"wep":              {0x11, nil, "WEP", "none"},
		"wpa":              {0x11, wifitest.WPA(2, []byte{2, 4}, []byte{1}), "WPA-EAP-TKIP WPA-EAP-CCMP", "none"},
		"wpa2":             {0x11, rsn(4, []byte{4}, []byte{2}, 0), "WPA2-PSK-CCMP", "none"},
		"mixed":            {0x11, append(wifitest.WPA(2, []byte{2}, []byte{2}), rsn(2, []byte{4}, []byte{2}, 0)...), "WPA-PSK-TKIP WPA2-PSK-CCMP", "none"},
		"capable":          {0x11, rsn(4, []byte{4}, []byte{2, 6}, 0x80), "WPA2-PSK-CCMP WPA2-PSK-SHA256-CCMP", "capable"},
		"wpa3":             {0x11, rsn(4, []byte{4}, []byte{8}, 0xc0), "WPA3-SAE-CCMP", "required"},
		"transition":       {0x11, rsn(4, []byte{4}, []byte{2, 8}, 0x80), "WPA2-PSK-CCMP WPA3-SAE-CCMP", "capable"},
		"ft":               {0x11, rsn(4, []byte{4}, []byte{3, 4, 9}, 0), "WPA2-FT-EAP-CCMP WPA2-FT-PSK-CCMP WPA3-FT-SAE-CCMP", "none"},
		"suite b":          {0x11, rsn(9, []byte{9}, []byte{12}, 0xc0), "WPA3-EAP-SUITE-B-192-GCMP-256", "required"},
		"eap sha256":       {0x11, rsn(8, []byte{8}, []byte{5}, 0xc0), "WPA2-EAP-SHA256-GCMP", "required"},
		"owe":              {0x11, rsn(4, []byte{4}, []byte{18}, 0xc0), "OWE-CCMP", "required"},
		"owe transition":   {1, wifitest.Vendor(0x506f9a1c, 0, 1, 2, 3, 4, 5, 3, 'o', 'w', 'e'), "OWE-TRANSITION", "none"},
		"group's cipher":   {0x11, rsn(2, []byte{0}, []byte{2}, 0), "WPA2-PSK-TKIP", "none"},
		"unknown":          {0x11, rsn(4, []byte{99}, []byte{77}, 0), "WPA2-000FAC4D-000FAC63", "none"},
		"only a version":   {0x11, wifitest.Element(48, 1, 0), "WPA2-EAP-CCMP", "none"},
		"suites not there": {0x11, wifitest.Element(48, 1, 0, 0, 0x0f, 0xac, 2, 0xff, 0xff), "WPA2-EAP-CCMP", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := wifi.New(wifi.Limits{})
			bare(p, wifitest.Beacon(ap, c.caps, wifitest.SSID("x"), c.elements))
			n := cut(p).WiFiNetworks
			if len(n) != 1 || strings.Join(n[0].Security, " ") != c.want || n[0].PMF != c.pmf {
				t.Errorf("%+v, want %s, %s", n, c.want, c.pmf)
			}
		})
	}
}

// TestSixGHz finds the channel of a network that only HE says (802.11ax,
// 9.4.2.249).
func TestSixGHz(t *testing.T) {
	t.Parallel()
	for name, he := range map[string][]byte{
		"alone":             wifitest.Element(255, 36, 0, 0, 2, 0, 0, 0, 37, 0, 0, 0, 0),
		"behind other info": wifitest.Element(255, 36, 0, 0xc0, 2, 0, 0, 0, 1, 2, 3, 4, 37, 0, 0, 0, 0),
	} {
		p := wifi.New(wifi.Limits{})
		bare(p, wifitest.Beacon(ap, 1, wifitest.SSID("x"), he))
		if n := cut(p).WiFiNetworks; len(n) != 1 || n[0].Channel != 37 {
			t.Errorf("%s: %+v", name, n)
		}
	}
}

// TestFingerprint: what counts, moves or names does not change a fingerprint;
// what a device can do does.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	mark := func(elements ...[]byte) string {
		p := wifi.New(wifi.Limits{})
		bare(p, wifitest.Beacon(ap, 1, elements...))
		return cut(p).WiFiNetworks[0].Fingerprint
	}
	ht := wifitest.Element(45, bytes.Repeat([]byte{1}, 26)...)
	base := mark(wifitest.SSID("a"), rates, channel6, wifitest.Element(5, 0, 1, 0, 0), ht)
	if len(base) != 16 {
		t.Errorf("fingerprint %q", base)
	}
	if same := mark(wifitest.SSID("b"), rates, wifitest.Element(3, 11), wifitest.Element(5, 2, 1, 0, 9), ht); same != base {
		t.Errorf("%s is not %s", same, base)
	}
	for name, other := range map[string]string{
		"order": mark(wifitest.SSID("a"), rates, channel6, ht, wifitest.Element(5, 0, 1, 0, 0)),
		"rates": mark(wifitest.SSID("a"), extRates, channel6, wifitest.Element(5, 0, 1, 0, 0), ht),
		"more":  mark(wifitest.SSID("a"), rates, channel6, wifitest.Element(5, 0, 1, 0, 0), ht, wifitest.Vendor(0x00904c04)),
	} {
		if other == base {
			t.Errorf("%s changes nothing", name)
		}
	}
}

// TestClear begins the next report with nothing.
func TestClear(t *testing.T) {
	t.Parallel()
	p := wifi.New(wifi.Limits{})
	bare(p, scene()...)
	cut(p)
	if diff := cmp.Diff(network.Records{}, cut(p)); diff != "" {
		t.Error(diff)
	}
}
