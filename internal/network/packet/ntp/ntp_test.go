package ntp_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/ntp"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
)

func TestCaptures(t *testing.T) {
	t.Parallel()
	parsetest.GoldenDatagrams(t, "testdata/ntpdate.pcap", ntp.Port, ntp.New())
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// stamp is a time as NTP writes it.
func stamp(t time.Time) uint64 {
	return uint64(t.Unix()+2208988800)<<32 | uint64(t.Nanosecond())<<32/1e9
}

func request(transmit uint64) []byte {
	b := make([]byte, 48)
	b[0] = 4<<3 | 3
	binary.BigEndian.PutUint64(b[40:], transmit)
	return b
}

func answer(origin uint64, received, sent time.Time) []byte {
	b := make([]byte, 48)
	b[0], b[1], b[3] = 4<<3|4, 1, 0xec
	copy(b[12:], "GPS")
	binary.BigEndian.PutUint32(b[4:], 1<<15) // half a second
	binary.BigEndian.PutUint64(b[24:], origin)
	binary.BigEndian.PutUint64(b[32:], stamp(received))
	binary.BigEndian.PutUint64(b[40:], stamp(sent))
	return b
}

func session(out *parse.Out, at time.Time) {
	out.Session = network.Session{Time: at, Client: netip.MustParseAddr("192.0.2.1"), ClientPort: 123, Server: netip.MustParseAddr("192.0.2.2"), ServerPort: 123, Proto: network.UDP}
}

// TestFourTimes: the client's clock is a second behind, the way there takes 10
// ms, the way back 30, the server 5.
func TestFourTimes(t *testing.T) {
	t.Parallel()
	p, out := ntp.New(), parsetest.NewOut()
	origin := stamp(start.Add(-time.Second))
	session(out, start)
	if err := p.Datagram(out, parse.Client, request(origin)); err != nil {
		t.Fatal(err)
	}
	session(out, start.Add(45*time.Millisecond))
	b := answer(origin, start.Add(10*time.Millisecond), start.Add(15*time.Millisecond))
	for range 2 { // the second has no request any more
		if err := p.Datagram(out, parse.Server, b); err != nil {
			t.Fatal(err)
		}
	}
	n := out.Records.NTP[0]
	if n.Offset != 990*time.Millisecond || n.Delay != 40*time.Millisecond || n.Stratum != 1 || n.Reference != "GPS" || n.RootDelay != 500*time.Millisecond || n.Mode != "server" {
		t.Errorf("%+v", n)
	}
	if n := out.Records.NTP[1]; n.Offset != 0 || n.Delay != 0 {
		t.Errorf("without a request: %+v", n)
	}
}

// TestRandomTime: a client that hides its time has a delay and no offset.
func TestRandomTime(t *testing.T) {
	t.Parallel()
	p, out := ntp.New(), parsetest.NewOut()
	for _, origin := range []uint64{0x1234567890abcdef, 0xfedcba0987654321, 0x6bcd, 0} {
		session(out, start)
		_ = p.Datagram(out, parse.Client, request(origin))
		session(out, start.Add(20*time.Millisecond))
		_ = p.Datagram(out, parse.Server, answer(origin, start, start))
	}
	if len(out.Records.NTP) != 4 {
		t.Fatalf("%+v", out.Records.NTP)
	}
	for _, n := range out.Records.NTP {
		if n.Offset != 0 || n.Delay != 20*time.Millisecond {
			t.Errorf("%+v", n)
		}
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	for mode, want := range map[byte]string{1: "symmetric", 2: "symmetric", 5: "broadcast", 6: "control", 7: "control"} {
		out := parsetest.NewOut()
		b := answer(0, start, start)
		b[0] = 3<<3 | mode
		if err := ntp.New().Datagram(out, parse.Client, b); err != nil || out.Records.NTP[0].Mode != want || out.Records.NTP[0].Version != 3 {
			t.Errorf("mode %d: %v %+v", mode, err, out.Records.NTP)
		}
	}
	for _, b := range [][]byte{nil, make([]byte, 48), answer(0, start, start)[:47]} {
		if err := ntp.New().Datagram(parsetest.NewOut(), parse.Client, b); err != parse.ErrNot { //nolint:errorlint // the sentinel itself
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
}

// TestBounded: a million clients ask; the table has its size, and nothing is
// allocated.
func TestBounded(t *testing.T) {
	p, out := ntp.New(), parsetest.NewOut()
	b := request(1)
	session(out, start)
	i := uint32(0)
	if n := testing.AllocsPerRun(1_000_000, func() {
		i++
		out.Client = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		_ = p.Datagram(out, parse.Client, b)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if len(out.Records.NTP) != 0 {
		t.Errorf("%d rows", len(out.Records.NTP))
	}
}

// TestLinear: what is behind the header is not looked at.
func TestLinear(t *testing.T) {
	p, out := ntp.New(), parsetest.NewOut()
	parsetest.Linear(t, 100, func(n int) {
		for range n {
			_ = p.Datagram(out, parse.Client, request(uint64(n)))
		}
	})
}

func FuzzNTP(f *testing.F) {
	parsetest.FuzzDatagrams(f, func() parse.Datagrams { return ntp.New() },
		parsetest.Conversations(f, "testdata/ntpdate.pcap", network.UDP, ntp.Port)...)
}
