package industrial_test

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/industrial"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
)

// cutting is a stream whose sums are taken at its end.
type cutting struct {
	parse.Stream
	table *industrial.Table
}

func (c cutting) End(out *parse.Out) {
	c.Stream.End(out)
	c.table.Cut(out, time.Time{}, true)
}

func modbus() parse.Stream {
	t := industrial.New()
	return cutting{t.NewModbus(), t}
}

func dnp3() parse.Stream {
	t := industrial.New()
	return cutting{t.NewDNP3(), t}
}

func TestCaptures(t *testing.T) {
	t.Parallel()
	parsetest.Golden(t, "testdata/modbus.pcap", industrial.PortModbus, modbus)
	parsetest.Golden(t, "testdata/dnp3.pcap", industrial.PortDNP3, dnp3)
}

func ask(unit, function byte) string {
	return string([]byte{0, 1, 0, 0, 0, 6, unit, function, 0, 1, 0, 2})
}

func TestModbus(t *testing.T) {
	t.Parallel()
	for title, c := range map[string]struct {
		chunks []parsetest.Chunk
		err    error
		want   []network.Industrial
	}{
		"exception": {[]parsetest.Chunk{parsetest.C(ask(1, 3)), parsetest.S("\x00\x01\x00\x00\x00\x03\x01\x83\x02")}, nil,
			[]network.Industrial{{Unit: 1, Function: 3, Name: "read holding registers", Requests: 1, Responses: 1, Errors: 1}}},
		"two units": {[]parsetest.Chunk{parsetest.C(ask(1, 3) + ask(2, 3) + ask(1, 3))}, nil,
			[]network.Industrial{{Unit: 1, Function: 3, Name: "read holding registers", Requests: 2}, {Unit: 2, Function: 3, Name: "read holding registers", Requests: 1}}},
		"later unknown": {[]parsetest.Chunk{parsetest.C(ask(1, 3) + ask(1, 100))}, nil,
			[]network.Industrial{{Unit: 1, Function: 3, Name: "read holding registers", Requests: 1}, {Unit: 1, Function: 100, Name: "function 100", Requests: 1}}},
		"other":         {[]parsetest.Chunk{parsetest.C("GET / HTTP/1.1\r\n")}, parse.ErrNot, nil},
		"goes wrong":    {[]parsetest.Chunk{parsetest.C(ask(1, 3) + "\x00\x01\x00\x01\x00\x06\x01\x03")}, parse.ErrMalformed, []network.Industrial{{Unit: 1, Function: 3, Name: "read holding registers", Requests: 1}}},
		"zero function": {[]parsetest.Chunk{parsetest.C(ask(1, 0))}, parse.ErrNot, nil},
	} {
		out := parsetest.NewOut()
		if err := parsetest.Run(modbus(), out, parsetest.Talk(502, c.chunks...), nil); err != c.err { //nolint:errorlint // the sentinel itself
			t.Errorf("%s: %v, want %v", title, err, c.err)
		}
		same(t, title, out.Records.Industrial, c.want)
	}
}

func same(t *testing.T, title string, got, want []network.Industrial) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %+v", title, got)
	}
	for i, g := range got {
		g.Session, g.Protocol = network.Session{}, ""
		if g != want[i] {
			t.Errorf("%s: %+v, want %+v", title, g, want[i])
		}
	}
}

// crc is DNP3's, bit by bit from its polynomial (IEEE 1815 clause 9.2.4.4).
func crc(b []byte) []byte {
	var r uint16
	for _, c := range b {
		for i := range 8 {
			bit := uint16(c>>i)&1 ^ r&1
			if r >>= 1; bit != 0 {
				r ^= 0xa6bc
			}
		}
	}
	return binary.LittleEndian.AppendUint16(nil, ^r)
}

// link makes a link frame.
func link(dest, source uint16, data ...byte) string {
	b := []byte{0x05, 0x64, byte(5 + len(data)), 0xc4}
	b = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(b, dest), source)
	b = append(b, crc(b)...)
	for len(data) > 0 {
		n := min(16, len(data))
		b = append(append(b, data[:n]...), crc(data[:n])...)
		data = data[n:]
	}
	return string(b)
}

// TestKnownFrame: a frame that the standard's examples and every capture of
// DNP3 begin with, link status of 1 to 1024 (checksum as Wireshark shows it).
func TestKnownFrame(t *testing.T) {
	t.Parallel()
	if !industrial.LooksLikeDNP3([]byte("\x05\x64\x05\xc0\x01\x00\x00\x04\xe9\x21")) {
		t.Error("not recognised")
	}
	if industrial.LooksLikeDNP3([]byte("\x05\x64\x05\xc0\x01\x00\x00\x04\xe9\x20")) {
		t.Error("a wrong checksum is taken")
	}
}

func TestDNP3(t *testing.T) {
	t.Parallel()
	read := link(10, 1, 0xc0, 0xc3, 1, 60, 2, 6)
	answered := link(1, 10, 0xc0, 0xc3, 129, 0, 0, 30, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	failed := link(1, 10, 0xc0, 0xc4, 129, 0, 1)
	want := []network.Industrial{
		{Unit: 10, Source: 1, Function: 1, Name: "read", Requests: 1, Responses: 1},
		{Unit: 10, Source: 1, Function: 5, Name: "direct operate", Requests: 1, Responses: 1, Errors: 1},
		{Unit: 10, Source: 1, Function: 0, Name: "confirm", Requests: 1},
		{Unit: 10, Source: 1, Function: 130, Name: "unsolicited response", Responses: 1},
	}
	operate, unsolicited := link(10, 1, 0xc1, 0xc4, 5), link(1, 10, 0xc0, 0xf0, 130, 0, 0)
	confirm := link(10, 1, 0xc2, 0xd4, 0) // of an unsolicited response, which has the number of the request by chance
	c := parsetest.Talk(industrial.PortDNP3, parsetest.C(read), parsetest.S(answered), parsetest.C(operate+confirm), parsetest.S(failed+unsolicited))
	out := parsetest.NewOut()
	if err := parsetest.Run(dnp3(), out, c, nil); err != nil {
		t.Fatal(err)
	}
	same(t, "TCP", out.Records.Industrial, want)
	for seed := range uint64(20) {
		parsetest.Cuts(t, dnp3(), c, seed)
	}
	table, out := industrial.New(), parsetest.NewOut()
	if err := parsetest.RunDatagrams(table.NewDatagrams(), out, c); err != nil {
		t.Fatal(err)
	}
	table.Cut(out, time.Time{}, true)
	same(t, "UDP", out.Records.Industrial, want)
}

func TestBounded(t *testing.T) {
	table, out := industrial.New(), parse.NewOut(1<<20, 1<<20)
	m := table.NewModbus()
	b := []byte(ask(1, 3))
	for i := range 1_000_000 {
		out.ClientPort, out.ServerPort = uint16(i), uint16(i>>16)
		if _, err := m.Next(out, parse.Client, b); err != nil {
			t.Fatal(err)
		}
	}
	if out.Over != 1_000_000-industrial.MaxSums {
		t.Errorf("%d over", out.Over)
	}
	table.Cut(out, time.Time{}, true)
	if n := len(out.Records.Industrial); n != industrial.MaxSums {
		t.Errorf("%d rows", n)
	}
	_, _ = m.Next(out, parse.Client, b)
	if n := testing.AllocsPerRun(100, func() { _, _ = m.Next(out, parse.Client, b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestLinear(t *testing.T) {
	out := parsetest.NewOut()
	m, d := industrial.New().NewModbus(), industrial.New().NewDNP3()
	one := link(10, 1, 0xc0, 0xc3, 1, 60, 2, 6)
	parsetest.Linear(t, 200, func(n int) {
		cut := func(int) int { return 1000 }
		_ = parsetest.Run(m, out, parsetest.Talk(502, parsetest.C(strings.Repeat(ask(1, 3), n))), cut)
		_ = parsetest.Run(d, out, parsetest.Talk(20000, parsetest.C(strings.Repeat(one, n))), cut)
	})
}

func FuzzModbus(f *testing.F) {
	parsetest.FuzzStream(f, modbus, parsetest.Conversations(f, "testdata/modbus.pcap", network.TCP, industrial.PortModbus)...)
}

func FuzzDNP3(f *testing.F) {
	parsetest.FuzzStream(f, dnp3, append(parsetest.Conversations(f, "testdata/dnp3.pcap", network.TCP, industrial.PortDNP3),
		parsetest.Talk(20000, parsetest.C(link(10, 1, 0xc0, 0xc3, 1, 60, 2, 6)), parsetest.S(link(1, 10, 0xc0, 0xc3, 129, 0, 0))))...)
}

func FuzzDNP3Datagram(f *testing.F) {
	parsetest.FuzzDatagrams(f, func() parse.Datagrams { return industrial.New().NewDatagrams() },
		parsetest.Talk(20000, parsetest.C(link(10, 1, 0xc0, 0xc3, 1, 60, 2, 6)), parsetest.S(link(1, 10, 0xc0, 0xc3, 129, 0, 0))))
}
