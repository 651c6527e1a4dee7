package remoteid_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/remoteid"
	rid "github.com/rind-project/rind/internal/network/packet/remoteid/remoteidtest"
)

var mac = network.MAC{2, 3, 4, 5, 6, 7}

func drones(t *remoteid.Table) ([]network.Drone, uint64) {
	out := parse.NewOut(1000, 1<<20)
	t.Cut(out)
	return out.Cut().Drones, out.Over
}

var whole = network.Drone{
	Time: time.Unix(0, 7).UTC(), MAC: mac, Transport: "wifi-beacon", ID: "1581F4AB", IDType: "serial", Type: "helicopter or multirotor",
	Status: "airborne", Latitude: 525000000, Longitude: -134000000, Altitude: 1200, Height: 600, Speed: 1250, Track: 270,
	OperLat: 524000000, OperLong: -133000000, Operator: "DEU12abc", Text: "survey", Signal: -40, Messages: 5,
}

// TestMessages reads a pack, and the same messages one by one.
func TestMessages(t *testing.T) {
	t.Parallel()
	pack := rid.Pack()
	one := remoteid.NewTable(10)
	one.Message(7, mac, "wifi-beacon", -40, pack)
	many := remoteid.NewTable(10)
	for i := range 5 {
		many.Message(int64(3+i), mac, "wifi-beacon", int8(-44+i), pack[3+25*i:][:25])
	}
	for name, table := range map[string]*remoteid.Table{"pack": one, "single": many} {
		got, over := drones(table)
		if diff := cmp.Diff([]network.Drone{whole}, got); diff != "" || over != 0 {
			t.Errorf("%s: over %d; %s", name, over, diff)
		}
		if got, _ := drones(table); len(got) != 0 {
			t.Errorf("%s: the next report has %+v", name, got)
		}
	}
}

// TestUnknown: values that the standard keeps for "unknown" are none.
func TestUnknown(t *testing.T) {
	t.Parallel()
	m := make([]byte, 25)
	m[0], m[1], m[2], m[3] = 0x12, 3, 181, 255
	var a remoteid.Aircraft
	if n, err := a.Take(m); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if a.Speed != 0 || a.Track != 0 || a.Altitude != 0 || a.Height != 0 || !a.Located {
		t.Errorf("%+v", a)
	}
	m[1], m[3] = 1, 10 // the multiplied speed: 0.75 m/s each above 63.75
	if _, err := a.Take(m); err != nil || a.Speed != 7125 {
		t.Errorf("%v %d", err, a.Speed)
	}
}

// TestIDs keeps a serial number, and writes what is no text as hex.
func TestIDs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		messages     [][]byte
		id, kind, as string
	}{
		"session after serial": {[][]byte{rid.Basic(1, 1, "SER"), rid.Basic(4, 1, "\x01\xff")}, "SER", "serial", "aeroplane"},
		"serial after session": {[][]byte{rid.Basic(4, 1, "\x01\xff"), rid.Basic(1, 15, "SER")}, "SER", "serial", "other"},
		"session":              {[][]byte{rid.Basic(4, 0, "\x01\xff")}, "01ff", "session", ""},
		"utm":                  {[][]byte{rid.Basic(3, 0, "\x00\x01")}, "0001", "utm", ""},
		"registration":         {[][]byte{rid.Basic(2, 0, "D-\x1bX")}, `D-\027X`, "registration", ""},
		"kind not known":       {[][]byte{rid.Basic(9, 0, "\x05")}, "05", "other", ""},
	} {
		table := remoteid.NewTable(1)
		for _, m := range c.messages {
			table.Message(0, mac, "bluetooth", 0, m)
		}
		got, _ := drones(table)
		if len(got) != 1 || got[0].ID != c.id || got[0].IDType != c.kind || got[0].Type != c.as {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestMalformed counts what is no message, and makes no row of it.
func TestMalformed(t *testing.T) {
	t.Parallel()
	pack := rid.Pack()
	bad := [][]byte{
		nil, {0xf2}, rid.Operator("x")[:24], bytes.Repeat([]byte{0x92}, 25), // type 9
		pack[:len(pack)-1], append([]byte{0xf2, 24, 1}, make([]byte, 25)...), append([]byte{0xf2, 25, 0}, make([]byte, 25)...),
		append([]byte{0xf2, 25, 10}, make([]byte, 250)...),
		append([]byte{0xf2, 25, 1}, pack[:25]...), // a pack in a pack
	}
	table := remoteid.NewTable(10)
	for _, b := range bad {
		table.Message(0, mac, "bluetooth", 0, b)
	}
	if got, _ := drones(table); len(got) != 0 || table.Malformed() != uint64(len(bad)) {
		t.Errorf("%+v, malformed %d of %d", got, table.Malformed(), len(bad))
	}
}

// TestBound keeps as many aircraft as it may under a million transmitters.
func TestBound(t *testing.T) {
	t.Parallel()
	table := remoteid.NewTable(100)
	m := rid.Basic(1, 1, "x")
	for i := range 1_000_000 {
		table.Message(0, network.MAC{2, 0, 0, byte(i >> 16), byte(i >> 8), byte(i)}, "bluetooth", 0, m)
	}
	got, over := drones(table)
	if len(got) != 100 || over != 999_900 || table.Over() != 999_900 {
		t.Errorf("%d rows, %d over, %d", len(got), over, table.Over())
	}
}

func FuzzTake(f *testing.F) {
	f.Add(rid.Pack())
	for _, m := range [][]byte{rid.Basic(1, 2, "x"), rid.Location(), rid.Self("t"), rid.System(), rid.Operator("o")} {
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		table := remoteid.NewTable(1)
		table.Message(1, mac, "bluetooth", -1, b)
		got, _ := drones(table)
		if (len(got) == 1) == (table.Malformed() == 1) {
			t.Errorf("%d rows, %d malformed", len(got), table.Malformed())
		}
		if len(got) == 1 && (got[0].Messages < 1 || got[0].Messages > remoteid.MaxPack) {
			t.Errorf("%d messages", got[0].Messages)
		}
	})
}
