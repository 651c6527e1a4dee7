package wifi_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/wifi"
	"github.com/rind-project/rind/internal/network/packet/wifi/wifitest"
)

// TestContent finds who sent what to whom, for each of the ways that a data
// frame goes.
func TestContent(t *testing.T) {
	t.Parallel()
	arp := wifitest.SNAP(0x0806, 1, 2, 3, 4)
	w := wifitest.Frame
	for name, c := range map[string]struct {
		frame    []byte
		src, dst network.MAC
	}{
		"to the network":   {w(wifitest.Data, wifitest.ToDS, ap, laptop, host, 16, arp), laptop, host},
		"from the network": {w(wifitest.Data, wifitest.FromDS, laptop, ap, host, 16, arp), host, laptop},
		"independent":      {w(wifitest.Data, 0, laptop, phone, ap, 16, arp), phone, laptop},
		"four addresses":   {w(wifitest.Data, wifitest.ToDS|wifitest.FromDS, ap, ap2, laptop, 16, host[:], arp), host, laptop},
		"qos":              {w(wifitest.QoS, wifitest.ToDS, ap, laptop, host, 16, []byte{5, 0}, arp), laptop, host},
		"qos, HT control":  {w(wifitest.QoS, wifitest.ToDS|wifitest.Order, ap, laptop, host, 16, []byte{5, 0, 9, 9, 9, 9}, arp), laptop, host},
		"four and qos":     {w(wifitest.QoS, wifitest.ToDS|wifitest.FromDS, ap, ap2, laptop, 16, host[:], []byte{5, 0}, arp), host, laptop},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inner, _ := bare(wifi.New(wifi.Limits{}), c.frame)
			want := []wifi.Inner{{Src: c.src, Dst: c.dst, Data: arp, OnNet: len(arp)}}
			if diff := cmp.Diff(want, inner); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNoContent hands nothing on that is not whole, clear and new.
func TestNoContent(t *testing.T) {
	t.Parallel()
	arp := wifitest.SNAP(0x0806, 1, 2, 3, 4)
	w := wifitest.Frame
	p := wifi.New(wifi.Limits{})
	inner, statuses := bare(p,
		w(wifitest.Null, wifitest.ToDS, ap, laptop, host, 16),
		w(wifitest.Data, wifitest.ToDS|wifitest.Protected, ap, laptop, host, 32, arp),
		w(wifitest.Data, wifitest.ToDS|wifitest.MoreFrags, ap, laptop, host, 48, arp),
		w(wifitest.Data, wifitest.ToDS, ap, laptop, host, 49, arp),
		w(wifitest.Data, wifitest.ToDS, ap, laptop, host, 64, arp[:7]),
		w(wifitest.Data, wifitest.ToDS, ap, laptop, host, 80, []byte{0x42, 0x42, 3, 0, 0, 0, 0, 0}),
		w(wifitest.Data, wifitest.ToDS, ap, laptop, host, 96, arp), // content
		w(wifitest.Data, wifitest.ToDS|wifitest.Retry, ap, laptop, host, 96, arp),
		w(wifitest.Data, wifitest.ToDS|wifitest.Retry, ap, laptop, host, 112, arp), // content: the first was not heard
		w(wifitest.Data, wifitest.FromDS, laptop, ap, host, 16, wifitest.SNAP(0x888e, 2, 3)),
	)
	want := []wifi.Status{wifi.Data, wifi.Data, wifi.Data, wifi.Data, wifi.Data, wifi.Data, wifi.Content, wifi.Data, wifi.Content, wifi.Content}
	if diff := cmp.Diff(want, statuses); diff != "" || len(inner) != 3 {
		t.Errorf("%d contents; %s", len(inner), diff)
	}
	c := p.Counters()
	if c.Protected != 1 || c.Fragments != 2 || c.Duplicates != 1 || c.EAPOL != 1 {
		t.Errorf("%+v", c)
	}
	r := cut(p).WiFiClients
	if len(r) != 1 || r[0].DataSent != 9 || r[0].DataGot != 1 || r[0].BSSID != ap || r[0].BytesGot != 34 {
		t.Errorf("%+v", r)
	}
}

// TestAMSDU takes a frame that holds several apart, and stops where lengths
// do not fit.
func TestAMSDU(t *testing.T) {
	t.Parallel()
	sub := func(dst, src network.MAC, payload []byte, pad bool) []byte {
		b := append(append(append([]byte{}, dst[:]...), src[:]...), byte(len(payload)>>8), byte(len(payload)))
		b = append(b, payload...)
		for pad && len(b)%4 != 0 {
			b = append(b, 0)
		}
		return b
	}
	one, two := wifitest.SNAP(0x0800, 1, 2, 3), wifitest.SNAP(0x0806, 4)
	body := append(sub(host, laptop, one, true), sub(ap2, laptop, []byte{1, 2, 3}, true)...)
	body = append(body, sub(phone, laptop, two, false)...)
	frame := wifitest.Frame(wifitest.QoS, wifitest.ToDS, ap, laptop, ap, 16, []byte{0x80, 0}, body)
	want := []wifi.Inner{{Src: laptop, Dst: host, Data: one, OnNet: len(one)}, {Src: laptop, Dst: phone, Data: two, OnNet: len(two)}}
	p := wifi.New(wifi.Limits{})
	inner, _ := bare(p, frame)
	if diff := cmp.Diff(want, inner); diff != "" {
		t.Error(diff)
	}
	if _, ok := p.More(); ok {
		t.Error("more after the last")
	}
	long := append([]byte(nil), frame...)
	long[24+2+12] = 0xff // the first subframe's length
	if inner, statuses := bare(p, long); len(inner) != 0 || statuses[0] != wifi.Data {
		t.Errorf("%v %v", statuses, inner)
	}
	var many []byte
	for range 100 {
		many = append(many, sub(host, laptop, wifitest.SNAP(0x0800, 0, 0), true)...)
	}
	if inner, _ := bare(p, wifitest.Frame(wifitest.QoS, wifitest.ToDS, ap, laptop, ap, 32, []byte{0x80, 0}, many)); len(inner) != 64 {
		t.Errorf("%d of 100 subframes, the limit is 64", len(inner))
	}
}

// TestPadding takes the padding out that some radios put behind the header.
func TestPadding(t *testing.T) {
	t.Parallel()
	arp := wifitest.SNAP(0x0806, 1, 2)
	f := wifitest.Frame(wifitest.QoS, wifitest.ToDS, ap, laptop, host, 16, []byte{0, 0}, []byte{0xee, 0xee}, arp)
	b := wifitest.Radiotap(0x20, 2412, -1, f)
	in, s := wifi.New(wifi.Limits{}).Frame(start, packet.LinkRadiotap, b, len(b))
	if s != wifi.Content || !bytes.Equal(in.Data, arp) || in.OnNet != len(arp) {
		t.Errorf("%v %+v", s, in)
	}
}

// TestSnapped reads a frame that the capture cut off, with its FCS on the air.
func TestSnapped(t *testing.T) {
	t.Parallel()
	f := wifitest.Frame(wifitest.Data, wifitest.ToDS, ap, laptop, host, 16, wifitest.SNAP(0x0800, make([]byte, 100)...))
	b := wifitest.Radiotap(0x10, 2412, -1, wifitest.FCS(f))
	in, s := wifi.New(wifi.Limits{}).Frame(start, packet.LinkRadiotap, b[:60], len(b))
	if s != wifi.Content || len(in.Data) != 60-15-24 || in.OnNet != 108 {
		t.Errorf("%v, %d bytes of %d", s, len(in.Data), in.OnNet)
	}
	in, s = wifi.New(wifi.Limits{}).Frame(start, packet.LinkRadiotap, b[:len(b)-2], len(b))
	if s != wifi.Content || len(in.Data) != 108 || in.OnNet != 108 {
		t.Errorf("cut inside the FCS: %v, %d bytes of %d", s, len(in.Data), in.OnNet)
	}
}
