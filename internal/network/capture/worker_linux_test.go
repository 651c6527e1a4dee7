package capture_test

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
)

// ports returns the UDP ports of IPv4 frames of Ethernet.
func ports(frame string) (src, dst int) {
	if len(frame) < 38 {
		return 0, 0
	}
	return int(frame[34])<<8 | int(frame[35]), int(frame[36])<<8 | int(frame[37])
}

// TestWorkers spreads conversations over two workers on loopback, where every
// packet goes out and comes in: each is seen once, and both directions of a
// conversation by one worker.
func TestWorkers(t *testing.T) {
	inNamespace(t)
	workers, err := capture.OpenWorkers(capture.OpenSocket, "lo", 2, capture.LiveConfig{RingBytes: 8 << 20, Promiscuous: true})
	if err != nil {
		t.Fatal(err)
	}
	const conversations, each = 64, 10
	for range conversations {
		a, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		b, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		for range each {
			if _, err := a.WriteTo([]byte("there"), b.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			if _, err := b.WriteTo([]byte("back"), a.LocalAddr()); err != nil {
				t.Fatal(err)
			}
		}
		a.Close()
		b.Close()
	}
	seenBy, total := map[[2]int]int{}, 0
	for i, l := range workers {
		defer l.Close()
		seen := drain(t, l)
		for _, p := range seen {
			src, dst := ports(p.Data)
			key := [2]int{min(src, dst), max(src, dst)}
			if before, ok := seenBy[key]; ok && before != i {
				t.Errorf("the conversation %v comes to both workers", key)
			}
			seenBy[key] = i
		}
		st, err := l.Stats()
		if err != nil || st.Received != uint64(len(seen)) || st.Read != st.Received || st.Dropped != 0 || len(seen) == 0 {
			t.Errorf("worker %d read %d: %+v, %v", i, len(seen), st, err)
		}
		total += len(seen)
	}
	if total != 2*conversations*each {
		t.Errorf("%d packets, want %d", total, 2*conversations*each)
	}
}

// TestLiveFilter sends frames over a veth pair, with tags that the kernel takes
// out before it runs the filter, and compares what comes with what the filter
// of files selects.
func TestLiveFilter(t *testing.T) {
	inNamespace(t)
	ip(t, "link", "add", "rv0", "type", "veth", "peer", "name", "rv1")
	ip(t, "link", "set", "rv1", "up")
	ip(t, "link", "set", "rv0", "up")
	fd, err := capture.OpenSocket("rv0")
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	frame := func(text string, port uint16, vlans ...uint16) string {
		return string(packettest.Frame{VLANs: vlans, Src: netip.MustParseAddrPort("192.0.2.1:1"), Dst: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.2"), port),
			Proto: 17, Payload: []byte(text + " that is ours, and long enough for an Ethernet frame")}.Bytes())
	}
	sent := []string{frame("a", 53), frame("b", 53, 7), frame("c", 80, 7), frame("d", 53, 9), frame("e", 53, 7, 9), frame("f", 80)}
	for expr, want := range map[string]string{
		"vlan 7":                      "bce", // e has another tag inside
		"vlan 7 and udp port 53":      "b",
		"vlan and udp":                "bcd",
		"not vlan and host 192.0.2.1": "af",
		"vlan 7 and vlan 9":           "e",
		"host 192.0.2.9":              "",
	} {
		for _, n := range []int{1, 2} {
			workers, err := capture.OpenWorkers(capture.OpenSocket, "rv1", n, capture.LiveConfig{RingBytes: 8 << 20, Filter: expr})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range sent {
				if _, err := unix.Write(fd, []byte(f)); err != nil {
					t.Fatal(err)
				}
			}
			got := map[string]bool{}
			for _, l := range workers {
				for _, p := range drain(t, l) {
					if at := strings.Index(p.Data, " that is ours"); at > 0 {
						got[p.Data[at-1:at]] = true
					}
				}
				l.Close()
			}
			text := ""
			for _, r := range "abcdef" {
				if got[string(r)] {
					text += string(r)
				}
			}
			if text != want {
				t.Errorf("%q with %d workers: %q, want %q", expr, n, text, want)
			}
		}
	}
	_, err = capture.OpenLive("rv1", capture.LiveConfig{Filter: "tcp prt 80"})
	if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "rv1") || !strings.Contains(err.Error(), "column 5") {
		t.Errorf("a mistake in a filter: %v", err)
	}
}

// TestQuiesce: what comes afterwards is not received, and everything that was
// can be read.
func TestQuiesce(t *testing.T) {
	inNamespace(t)
	l, err := capture.OpenLive("lo", capture.LiveConfig{RingBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	send(t, "127.0.0.1:0", 20, 100)
	if err := l.Quiesce(); err != nil {
		t.Fatal(err)
	}
	send(t, "127.0.0.1:0", 30, 100)
	seen := drain(t, l)
	if st, err := l.Stats(); err != nil || len(seen) != 20 || st.Received != 20 || st.Read != 20 {
		t.Errorf("%d packets, %+v, %v", len(seen), st, err)
	}
}

// TestLiveJoined sends a stream over loopback with a small MTU: the kernel
// hands over segments that it has not cut yet, as large as 64 KiB, whole.
func TestLiveJoined(t *testing.T) {
	inNamespace(t)
	ip(t, "link", "set", "lo", "mtu", "1500")
	l, err := capture.OpenLive("lo", capture.LiveConfig{RingBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	const size = 8 << 20
	done := make(chan int64, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			done <- 0
			return
		}
		defer conn.Close()
		n, _ := io.Copy(io.Discard, conn)
		done <- n
	}()
	conn, err := net.Dial("tcp4", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if n := <-done; n != size {
		t.Fatalf("%d bytes came", n)
	}
	largest, joined, bytes := 0, uint64(0), 0
	for _, p := range drain(t, l) {
		if p.Wire != len(p.Data) {
			t.Fatalf("%d of %d bytes", len(p.Data), p.Wire)
		}
		if largest = max(largest, p.Wire); p.Wire > 1500+22 {
			joined++
		}
		bytes += p.Wire
	}
	st, err := l.Stats()
	if err != nil || joined == 0 || st.Joined != joined || st.Dropped != 0 || bytes < size || largest < 20_000 {
		t.Errorf("%d bytes, the largest frame has %d, %d are joined: %+v, %v", bytes, largest, joined, st, err)
	}
}

// tally counts packets.
type tally struct{ n int }

// Packet implements capture.Handler.
func (c *tally) Packet(int64, packet.LinkType, []byte, int) { c.n++ }

// TestLiveAllocatesNothing reads full blocks and waits for an empty one.
func TestLiveAllocatesNothing(t *testing.T) {
	inNamespace(t)
	l, err := capture.OpenLive("lo", capture.LiveConfig{RingBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	send(t, "127.0.0.1:0", 20_000, 1000)
	var c tally
	if n := testing.AllocsPerRun(40, func() {
		if _, err := l.Read(&c, time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations in a read", n)
	}
	if c.n < 10_000 {
		t.Errorf("%d packets were read", c.n)
	}
}

func TestWorkersErrors(t *testing.T) {
	opened := 0
	open := func(string) (int, error) {
		if opened++; opened == 3 {
			return -1, errs.New(errs.Unavailable, "no more")
		}
		return unix.Dup(0)
	}
	if _, err := capture.OpenWorkers(open, "lo", 4, capture.LiveConfig{}); !errs.Is(err, errs.Unavailable) {
		t.Errorf("%v", err)
	}
	if _, err := capture.FromFDs(nil, capture.LiveConfig{}); !errs.Is(err, errs.Invalid) {
		t.Errorf("without a socket: %v", err)
	}
}

// TestFragmentsComeToOneWorker sends datagrams in three parts each: they are
// not put together on the way, and all between two hosts come to one worker.
func TestFragmentsComeToOneWorker(t *testing.T) {
	inNamespace(t)
	ip(t, "link", "set", "lo", "mtu", "1500")
	workers, err := capture.OpenWorkers(capture.OpenSocket, "lo", 3, capture.LiveConfig{RingBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	const datagrams = 40
	for range datagrams { // each from a port of its own, which the later parts do not have
		send(t, "127.0.0.1:0", 1, 4000)
	}
	var each []int
	for _, l := range workers {
		defer l.Close()
		if n := len(drain(t, l)); n > 0 {
			each = append(each, n)
		}
	}
	if len(each) != 1 || each[0] != 3*datagrams {
		t.Errorf("the workers read %v, want %d by one", each, 3*datagrams)
	}
}
