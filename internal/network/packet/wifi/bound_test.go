package wifi_test

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
	"github.com/rind-project/rind/internal/network/packet/remoteid/remoteidtest"
	"github.com/rind-project/rind/internal/network/packet/wifi"
	"github.com/rind-project/rind/internal/network/packet/wifi/wifitest"
)

// TestBounded gives a million networks, stations, names, events and drones,
// each different: the tables fill up, what does not fit is counted, and the
// heap stays small.
func TestBounded(t *testing.T) {
	l := wifi.Limits{Networks: 1000, Clients: 1000, Events: 1000, Drones: 100}
	p := wifi.New(l)
	before := heap()
	pad := bytes.Repeat(wifitest.Element(222, 1, 2, 3, 4, 5, 6, 7, 8), 20)
	for i := range 1_000_000 {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(i))
		mac := network.MAC{0x02, 0, n[0], n[1], n[2], n[3]}
		name := wifitest.Element(0, n[:]...)
		var f []byte
		switch i % 5 {
		case 0:
			f = wifitest.Beacon(mac, 1, name, pad)
		case 1:
			f = wifitest.Frame(wifitest.ProbeReq, 0, wifitest.Broadcast, mac, wifitest.Broadcast, 0, name, pad)
		case 2: // one station with a name in each probe
			f = wifitest.Frame(wifitest.ProbeReq, 0, wifitest.Broadcast, laptop, wifitest.Broadcast, 0, name)
		case 3:
			f = wifitest.Frame(wifitest.Deauth, 0, laptop, mac, mac, 0, n[2:])
		case 4:
			f = wifitest.Beacon(mac, 1, wifitest.Vendor(0xfa0bbc0d, append([]byte{1, 0x02, 0x12}, make([]byte, 23)...)...))
		}
		if _, s := p.Frame(start, packet.LinkIEEE80211, f, len(f)); s != wifi.Management {
			t.Fatal(s)
		}
	}
	if grown := heap() - before; grown > 8<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	c := p.Counters()
	out := parse.NewOut(100000, 8<<20)
	p.Cut(out)
	over := out.Over
	r := out.Cut()
	if len(r.WiFiNetworks) != 1000 || len(r.WiFiClients) != 1000 || len(r.WiFiEvents) != 1000 || len(r.Drones) != 100 {
		t.Errorf("%d networks, %d clients, %d events, %d drones", len(r.WiFiNetworks), len(r.WiFiClients), len(r.WiFiEvents), len(r.Drones))
	}
	if c.NetworksOver != 399_000 || c.EventsOver != 199_000 || c.DronesOver != 199_900 || c.NamesOver != 200_000-16 {
		t.Errorf("%+v", c)
	}
	if c.ClientsOver != 199_001 { // and the one station
		t.Errorf("%d frames of stations without room", c.ClientsOver)
	}
	if over != c.NetworksOver+c.EventsOver+c.DronesOver+c.ClientsOver {
		t.Errorf("over %d, counters %+v", over, c)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestNoAllocations: frames of known networks and stations allocate nothing.
func TestNoAllocations(t *testing.T) {
	p := wifi.New(wifi.Limits{})
	frames := scene()
	for i, f := range frames {
		frames[i] = wifitest.Radiotap(0x10, 2437, -42, wifitest.FCS(f))
	}
	all := func() {
		for _, f := range frames {
			p.Frame(start, packet.LinkRadiotap, f, len(f))
		}
	}
	all()
	if n := testing.AllocsPerRun(100, all); n != 0 {
		t.Errorf("%v allocations in %d frames of known stations", n, len(frames))
	}
}

// TestLinear gives frames of n, 2n and 4n bytes of the elements that cost
// most.
func TestLinear(t *testing.T) {
	for name, unit := range map[string][]byte{
		"empty elements": wifitest.Element(200), "names": wifitest.SSID("x"), "suites": wifitest.RSN(4, []byte{4, 4, 4, 4}, []byte{2, 2, 2}, 0),
		"wps": wifitest.Vendor(0x0050f204, bytes.Repeat([]byte{0, 1, 0, 0}, 60)...), "pwnagotchi": wifitest.Element(222, []byte(`{"name":{`)...),
		"remote ids": wifitest.Vendor(0xfa0bbc0d, append([]byte{9}, remoteidtest.Pack()...)...),
	} {
		t.Run(name, func(t *testing.T) {
			f := wifitest.Beacon(ap, 1, bytes.Repeat(unit, 64<<10/len(unit)))
			parsetest.Linear(t, len(f)/4, func(n int) {
				p := wifi.New(wifi.Limits{})
				for range 20 {
					p.Frame(start, packet.LinkIEEE80211, f[:n], n)
				}
			})
		})
	}
}

// FuzzFrame reads anything under each link type.
func FuzzFrame(f *testing.F) {
	for _, b := range scene() {
		f.Add(uint8(0), b, 0)
		f.Add(uint8(1), wifitest.Radiotap(0x10, 2437, -42, wifitest.FCS(b)), 0)
		f.Add(uint8(2), wifitest.Prism(binary.LittleEndian, 6, -42, b), 4)
		f.Add(uint8(3), wifitest.AVS(6, -42, b), 0)
	}
	links := []packet.LinkType{packet.LinkIEEE80211, packet.LinkRadiotap, packet.LinkPrism, wifi.LinkAVS}
	f.Fuzz(func(t *testing.T, link uint8, b []byte, more int) {
		wire := len(b) + more&0xffff
		p := wifi.New(wifi.Limits{Networks: 8, Clients: 8, Events: 8, Drones: 8})
		for range 2 {
			in, s := p.Frame(start, links[link%4], b, wire)
			if s >= wifi.StatusCount {
				t.Fatalf("status %d", s)
			}
			n := 0
			for ok := s == wifi.Content; ok; in, ok = p.More() {
				if len(in.Data) < 8 || len(in.Data) > len(b) || in.OnNet < len(in.Data) || in.OnNet > wire {
					t.Errorf("content of %d bytes, %d on the air, in a frame of %d, %d", len(in.Data), in.OnNet, len(b), wire)
				}
				if n++; n > 64 {
					t.Fatal("more than 64 contents")
				}
			}
		}
		r := cut(p)
		for _, n := range r.WiFiNetworks {
			if len(n.SSID) > 4*32 || len(n.Security) > 128 || len(n.Rates) > 16 {
				t.Errorf("%+v", n)
			}
		}
	})
}

// BenchmarkFrame reads the scene of one busy place behind radiotap, with FCS.
func BenchmarkFrame(b *testing.B) {
	var frames [][]byte
	for i := range 64 {
		for _, f := range scene() {
			f = bytes.Clone(f)
			if len(f) > 22 {
				f[15] ^= byte(i) // another transmitter each time
			}
			frames = append(frames, wifitest.Radiotap(0x10, 2437, -42, wifitest.FCS(f)))
		}
	}
	p := wifi.New(wifi.Limits{})
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		p.Frame(start, packet.LinkRadiotap, frames[i], len(frames[i]))
		if i++; i == len(frames) {
			i = 0
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
}
