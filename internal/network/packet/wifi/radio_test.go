package wifi_test

import (
	"encoding/binary"
	"testing"

	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/wifi"
	"github.com/rind-project/rind/internal/network/packet/wifi/wifitest"
)

// tap makes a radiotap header of present words and fields.
func tap(words []uint32, fields ...byte) []byte {
	b := []byte{0, 0, byte(4 + 4*len(words) + len(fields)), 0}
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return append(b, fields...)
}

// TestRadiotap walks headers with alignment, several present words and vendor
// namespaces (radiotap.org).
func TestRadiotap(t *testing.T) {
	t.Parallel()
	beacon := wifitest.Beacon(ap, 1, wifitest.SSID("x"))
	for name, c := range map[string]struct {
		header []byte
		status wifi.Status
		signal int8
		freq   uint16
	}{
		"nothing told": {tap([]uint32{0}), wifi.Management, 0, 0},
		"TSFT first":   {tap([]uint32{1 | 1<<3 | 1<<5}, 1, 2, 3, 4, 5, 6, 7, 8, 0x6c, 9, 0, 0, 0xd6), wifi.Management, -42, 2412},
		"TSFT aligned behind two words": {tap([]uint32{1<<31 | 1<<29 | 1 | 1<<5, 1 << 5},
			0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0xd6, 0xd0), wifi.Management, -42, 0},
		"signal of an antenna only": {tap([]uint32{1<<31 | 1<<29 | 1<<3, 1<<5 | 1<<11}, 0x6c, 9, 0, 0, 0xce, 1), wifi.Management, -50, 2412},
		"vendor namespace": {tap([]uint32{1<<31 | 1<<30 | 1<<1, 1<<31 | 1<<29 | 7, 1 << 5},
			0, 0, 1, 2, 3, 0, 3, 0, 9, 9, 9, 0xd6), wifi.Management, -42, 0},
		"XChannel":                {tap([]uint32{1<<18 | 1<<5}, 0xd6, 0, 0, 0, 0, 0, 0, 0, 0x6c, 9, 1, 0), wifi.Management, -42, 2412},
		"field that is not known": {tap([]uint32{1<<28 | 1<<5}, 0xd6), wifi.Management, -42, 0},
		"field past the header":   {tap([]uint32{1 | 1<<5}, 1, 2, 3), wifi.Management, 0, 0},
		"no frame":                {tap([]uint32{1 << 26}, 0), wifi.NoFrame, 0, 0},
		"receiver says bad":       {tap([]uint32{1 << 1}, 0x40), wifi.BadFCS, 0, 0},
		"bad PLCP":                {tap([]uint32{1 << 14}, 2, 0), wifi.BadFCS, 0, 0},
		"FCS that is none":        {tap([]uint32{1 << 1}, 0x10), wifi.BadFCS, 0, 0},
		"version":                 {append([]byte{1}, tap([]uint32{0})[1:]...), wifi.BadRadio, 0, 0},
		"length below 8":          {[]byte{0, 0, 7, 0, 0, 0, 0, 0}, wifi.BadRadio, 0, 0},
		"length past the end":     {[]byte{0, 0, 0xff, 0xff, 0, 0, 0, 0}, wifi.BadRadio, 0, 0},
		"words without end":       {tap([]uint32{1 << 31, 1 << 31, 1 << 31}), wifi.BadRadio, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := wifi.New(wifi.Limits{})
			b := append(append([]byte(nil), c.header...), beacon...)
			if _, s := p.Frame(start, packet.LinkRadiotap, b, len(b)); s != c.status {
				t.Fatalf("%v, want %v", s, c.status)
			}
			n := cut(p).WiFiNetworks
			if c.status != wifi.Management {
				if len(n) != 0 || p.Counters().Status[c.status] != 1 {
					t.Errorf("%+v, %+v", n, p.Counters())
				}
				return
			}
			if len(n) != 1 || n[0].Signal != c.signal || n[0].Frequency != c.freq || n[0].SSID != "x" {
				t.Errorf("%+v", n)
			}
		})
	}
}

// TestFCS strips a check sequence where the header does not say whether there
// is one, and only one that fits.
func TestFCS(t *testing.T) {
	t.Parallel()
	beacon := wifitest.Beacon(ap, 1, wifitest.SSID("x"))
	bad := wifitest.FCS(beacon)
	bad[len(bad)-1] ^= 1
	for name, c := range map[string]struct {
		frame    []byte
		elements uint64 // that do not fit
	}{"none": {beacon, 0}, "fits": {wifitest.FCS(beacon), 0}, "does not fit": {bad, 1}} {
		p := wifi.New(wifi.Limits{})
		_, statuses := bare(p, c.frame)
		if statuses[0] != wifi.Management || p.Counters().BadElements != c.elements {
			t.Errorf("%s: %v, %+v", name, statuses, p.Counters())
		}
	}
}

// TestShort gives every beginning of every frame of the scene behind every
// header: none is read past its end.
func TestShort(t *testing.T) {
	t.Parallel()
	for _, f := range scene() {
		for _, c := range []struct {
			link packet.LinkType
			b    []byte
		}{
			{packet.LinkIEEE80211, f}, {packet.LinkRadiotap, wifitest.Radiotap(0x10, 2437, -42, wifitest.FCS(f))},
			{packet.LinkPrism, wifitest.Prism(binary.BigEndian, 6, -42, f)}, {wifi.LinkAVS, wifitest.AVS(6, -42, f)},
		} {
			p := wifi.New(wifi.Limits{})
			for n := range c.b {
				for _, wire := range []int{n, len(c.b), n + 1} {
					p.Frame(start, c.link, c.b[:n:n], wire)
				}
			}
			cut(p)
		}
	}
	_, statuses := bare(wifi.New(wifi.Limits{}), nil, []byte{1, 0}, []byte{0x80, 0, 0, 0})
	if statuses[0] != wifi.ShortHeader || statuses[1] != wifi.BadVersion || statuses[2] != wifi.ShortHeader {
		t.Error(statuses)
	}
	if _, s := wifi.New(wifi.Limits{}).Frame(start, packet.LinkEthernet, scene()[0], 1); s != wifi.OtherLink {
		t.Error(s)
	}
}
