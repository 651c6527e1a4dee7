package dhcp_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/dhcp"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
)

func TestCaptures(t *testing.T) {
	t.Parallel()
	parsetest.GoldenDatagrams(t, "testdata/dhcp4.pcap", dhcp.ServerPort, dhcp.New())
	parsetest.GoldenDatagrams(t, "testdata/dhcp6.pcap", dhcp.ServerPort6, dhcp.New6())
}

// TestAgainstTshark compares message by message what tshark reads in the
// corpus: hardware address, type, parameter request list and host name.
func TestAgainstTshark(t *testing.T) {
	if testing.Short() {
		t.Skip("a process for each capture takes a while")
	}
	found := 0
	types := []string{"", "discover", "offer", "request", "decline", "ack", "nak", "release", "inform"}
	for _, path := range parsetest.Captures(t) {
		var want, got [][]string
		for _, r := range parsetest.Tshark(t, path, "", "dhcp && !icmp", "dhcp.hw.mac_addr", "dhcp.option.dhcp", "dhcp.option.request_list_item", "dhcp.option.hostname") {
			r[0], _, _ = strings.Cut(r[0], ",")
			for i, name := range types {
				if r[1] == string(rune('0'+i)) {
					r[1] = name
				}
			}
			want = append(want, r)
		}
		p, out := dhcp.New(), parsetest.NewOut()
		parsetest.Packets(t, path, func(k *parsetest.Packet) {
			out.Session = k.Session()
			if out.Proto == network.UDP && (out.ServerPort == 67 || out.ServerPort == 68) {
				if err := p.Datagram(out, parse.Client, k.Payload); err != nil {
					t.Errorf("%s: %v", path, err)
				}
			}
		})
		for _, d := range out.Records.DHCP {
			got = append(got, []string{d.MAC.String(), d.Type, d.Fingerprint, d.HostName})
		}
		found += len(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-tshark +ours): %s", filepath.Base(path), diff)
		}
	}
	if found == 0 {
		t.Error("the corpus has no DHCP")
	}
}

// message makes one with the options.
func message(options ...byte) []byte {
	b := make([]byte, 240)
	b[0], b[1], b[2] = 1, 1, 6
	copy(b[28:], []byte{2, 0, 0, 0, 0, 1})
	copy(b[236:], []byte{0x63, 0x82, 0x53, 0x63})
	return append(b, options...)
}

func read(t *testing.T, d parse.Datagrams, b []byte, want error) network.DHCP {
	t.Helper()
	out := parsetest.NewOut()
	if err := d.Datagram(out, parse.Client, b); err != want { //nolint:errorlint // the sentinel itself
		t.Fatalf("%v, want %v", err, want)
	}
	if want != nil {
		if len(out.Records.DHCP) != 0 {
			t.Errorf("%+v", out.Records.DHCP)
		}
		return network.DHCP{}
	}
	return out.Records.DHCP[0]
}

// TestOverload: options go on in the fields of file and server name, and one
// that is split is one.
func TestOverload(t *testing.T) {
	t.Parallel()
	b := message(53, 1, 3, 55, 2, 1, 3, 52, 1, 3, 12, 2, 'a', 'b', 255)
	copy(b[108:], []byte{55, 2, 6, 15, 12, 1, 'c', 255})
	copy(b[44:], []byte{55, 1, 119, 51, 4, 0, 0, 14, 16, 255})
	d := read(t, dhcp.New(), b, nil)
	if d.Type != "request" || d.Fingerprint != "1,3,6,15,119" || d.HostName != "abc" || d.Lease != time.Hour || d.MAC != (network.MAC{2, 0, 0, 0, 0, 1}) {
		t.Errorf("%+v", d)
	}
}

func TestOdd(t *testing.T) {
	t.Parallel()
	if d := read(t, dhcp.New(), message(0, 0, 53, 1, 99), nil); d.Type != "99" {
		t.Errorf("%+v", d)
	}
	if d := read(t, dhcp.New(), message(), nil); d.Type != "bootrequest" {
		t.Errorf("%+v", d)
	}
	if d := read(t, dhcp.New(), message(81, 8, 4, 0, 0, 1, 'a', 2, 'b', 'c'), nil); d.HostName != "a.bc" {
		t.Errorf("%+v", d)
	}
	read(t, dhcp.New(), message(53), parse.ErrMalformed)
	read(t, dhcp.New(), message(12, 5, 'a'), parse.ErrMalformed)
	read(t, dhcp.New(), message()[:239], parse.ErrNot)
	read(t, dhcp.New6(), []byte{1, 0, 0, 1, 0, 1, 0, 9}, parse.ErrNot)
	read(t, dhcp.New6(), []byte{1, 0, 0, 1, 0, 8, 0, 0, 0}, parse.ErrMalformed)
}

// relayed wraps a message.
func relayed(b []byte) []byte {
	return append(append(append([]byte{12, 0}, make([]byte, 32)...), 0, 9, byte(len(b)>>8), byte(len(b))), b...)
}

func TestRelays(t *testing.T) {
	t.Parallel()
	b := []byte{1, 0, 0, 1, 0, 6, 0, 4, 0, 23, 0, 24, 0, 1, 0, 10, 0, 3, 0, 1, 2, 0, 0, 0, 0, 9}
	for n, want := range map[int]string{0: "solicit", 1: "solicit", 8: "solicit", 9: "relay-forw"} {
		m := b
		for range n {
			m = relayed(m)
		}
		if d := read(t, dhcp.New6(), m, nil); d.Type != want || n < 9 && (d.Fingerprint != "23,24" || d.MAC[5] != 9) {
			t.Errorf("%d relays: %+v", n, d)
		}
	}
}

// TestBounded: a million hostile names take no more room than is set.
func TestBounded(t *testing.T) {
	t.Parallel()
	p, out := dhcp.New(), parse.NewOut(1000, 100_000)
	b := message(53, 1, 1, 12, 4, 'a', 'b', 'c', 'd', 255)
	for i := range 1_000_000 {
		b[245], b[246], b[247], b[248] = byte(i), byte(i>>8), byte(i>>16), 'x'
		if err := p.Datagram(out, parse.Client, b); err != nil {
			t.Fatal(err)
		}
	}
	if len(out.Records.DHCP) != 1000 || out.Over != 999_000 {
		t.Errorf("%d rows, %d over", len(out.Records.DHCP), out.Over)
	}
}

func TestLinear(t *testing.T) {
	p, p6, out := dhcp.New(), dhcp.New6(), parsetest.NewOut()
	parsetest.Linear(t, 60, func(n int) {
		b, b6 := message(), []byte{1, 0, 0, 1}
		for range n {
			b = append(b, 55, 4, 1, 2, 3, 4)
			b6 = append(b6, 0, 6, 0, 2, 0, 1)
		}
		_ = p.Datagram(out, parse.Client, b)
		_ = p6.Datagram(out, parse.Client, b6)
	})
}

func FuzzDHCP(f *testing.F) {
	parsetest.FuzzDatagrams(f, func() parse.Datagrams { return dhcp.New() },
		parsetest.Conversations(f, "testdata/dhcp4.pcap", network.UDP, dhcp.ServerPort)...)
}

func FuzzDHCP6(f *testing.F) {
	parsetest.FuzzDatagrams(f, func() parse.Datagrams { return dhcp.New6() },
		parsetest.Conversations(f, "testdata/dhcp6.pcap", network.UDP, dhcp.ServerPort6)...)
}
