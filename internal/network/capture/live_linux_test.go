package capture_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
)

// inNamespace runs the rest of the test in a network namespace of its own
// with loopback up. The thread is not given back, so that no other test gets
// to run in it.
func inNamespace(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("a network namespace needs root: %v", err)
	}
	ip(t, "link", "set", "lo", "up")
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("ip")
	if err != nil {
		t.Skip("the ip command (iproute2) is not installed")
	}
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		t.Skipf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// drain reads until nothing has come for a while.
func drain(t *testing.T, l *capture.Live) (s sink) {
	t.Helper()
	for quiet := 0; quiet < 3; {
		n, err := l.Read(&s, 50*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if quiet++; n > 0 {
			quiet = 0
		}
	}
	return s
}

// send sends n datagrams of size bytes to a socket on addr that listens.
func send(t *testing.T, addr string, n, size int) (port int) {
	t.Helper()
	to, err := net.ListenPacket("udp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	from, err := net.Dial("udp4", to.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	for range n {
		if _, err := from.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	return to.LocalAddr().(*net.UDPAddr).Port
}

// TestLiveLoopback sends a known number of datagrams over loopback, where each
// goes out and comes in, and must be seen once.
func TestLiveLoopback(t *testing.T) {
	inNamespace(t)
	fd, err := capture.OpenSocket("lo")
	if err != nil {
		t.Fatal(err)
	}
	send(t, "127.0.0.1:0", 10, 10) // before the capture begins: not seen
	l, err := capture.FromFD(fd, capture.LiveConfig{RingBytes: 8 << 20, Promiscuous: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	before := time.Now().UnixNano()
	const n, size = 5000, 321
	send(t, "127.0.0.1:0", n, size)
	seen := drain(t, l)
	if len(seen) != n {
		t.Errorf("%d packets, want %d", len(seen), n)
	}
	for _, p := range seen {
		if p.Wire != 14+20+8+size || len(p.Data) != p.Wire || p.Link != packet.LinkEthernet || p.TS < before || p.TS > time.Now().UnixNano() {
			t.Fatalf("%d bytes of %d at %d, link %v", len(p.Data), p.Wire, p.TS, p.Link)
		}
	}
	st, err := l.Stats()
	if err != nil || st.Received != n || st.Dropped != 0 || st.RingSize != 8<<20 {
		t.Errorf("%+v, %v", st, err)
	}
	send(t, "127.0.0.1:0", 7, 1)
	drain(t, l)
	if st, _ = l.Stats(); st.Received != n+7 {
		t.Errorf("statistics do not add up: %+v", st)
	}
}

func TestLiveSnaplen(t *testing.T) {
	inNamespace(t)
	l, err := capture.OpenLive("lo", capture.LiveConfig{RingBytes: 8 << 20, Snaplen: 60})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	send(t, "127.0.0.1:0", 3, 1000)
	for _, p := range drain(t, l) {
		if len(p.Data) != 60 || p.Wire != 1042 {
			t.Errorf("%d of %d bytes", len(p.Data), p.Wire)
		}
	}
}

// TestLiveDrops sends more than the ring holds while nobody reads: what was
// dropped and what was read add up to what was sent.
func TestLiveDrops(t *testing.T) {
	inNamespace(t)
	l, err := capture.OpenLive("lo", capture.LiveConfig{RingBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ip(t, "link", "set", "lo", "mtu", "65536")
	const n = 600
	send(t, "127.0.0.1:0", n, 60_000)
	seen := drain(t, l)
	st, err := l.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if st.Dropped == 0 || uint64(len(seen))+st.Dropped != n || st.Received != n {
		t.Errorf("read %d, statistics %+v; sent %d", len(seen), st, n)
	}
	for _, p := range seen {
		if p.Wire != 60_042 || len(p.Data) != p.Wire {
			t.Fatalf("%d of %d bytes", len(p.Data), p.Wire)
		}
	}
}

// TestLiveVLAN sends a tagged frame over a veth pair: the receiving side takes
// the tag out before the ring, and it has to be back in the frame.
func TestLiveVLAN(t *testing.T) {
	inNamespace(t)
	ip(t, "link", "add", "rv0", "type", "veth", "peer", "name", "rv1")
	ip(t, "link", "set", "rv1", "up")
	ip(t, "link", "set", "rv0", "up")
	l, err := capture.OpenLive("rv1", capture.LiveConfig{RingBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	fd, err := capture.OpenSocket("rv0")
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	frame := packettest.Frame{VLANs: []uint16{7, 9}, Src: netip.MustParseAddrPort("192.0.2.1:1"),
		Dst: netip.MustParseAddrPort("192.0.2.2:4000"), Proto: 17, Payload: []byte("hello, tagged world")}.Bytes()
	if _, err := unix.Write(fd, frame); err != nil {
		t.Fatal(err)
	}
	for _, s := range drain(t, l) {
		if strings.Contains(s.Data, "tagged world") {
			if s.Data != string(frame) || s.Wire != len(frame) {
				t.Errorf("%d bytes:\n got %x\nwant %x", s.Wire, s.Data, frame)
			}
			return
		}
	}
	t.Error("the frame was not seen")
}

// TestLivePromiscuous asks the kernel how often promiscuous mode was wanted of
// an interface: by nobody, by a capture that wants it, and by none afterwards.
func TestLivePromiscuous(t *testing.T) {
	inNamespace(t)
	ip(t, "link", "add", "rv0", "type", "veth", "peer", "name", "rv1")
	ip(t, "link", "set", "rv1", "up")
	wanted := func() string {
		out, err := exec.Command("ip", "-d", "link", "show", "rv1").Output()
		if err != nil {
			t.Fatal(err)
		}
		_, after, ok := strings.Cut(string(out), "promiscuity ")
		if !ok {
			t.Skipf("ip does not tell the promiscuity:\n%s", out)
		}
		n, _, _ := strings.Cut(after, " ")
		return n
	}
	for _, promiscuous := range []bool{false, true} {
		l, err := capture.OpenLive("rv1", capture.LiveConfig{RingBytes: 8 << 20, Promiscuous: promiscuous})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := wanted(), map[bool]string{false: "0", true: "1"}[promiscuous]; got != want {
			t.Errorf("promiscuous %v: the kernel says %s, want %s", promiscuous, got, want)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if got := wanted(); got != "0" {
			t.Errorf("after promiscuous %v: %s", promiscuous, got)
		}
	}
}

func TestLiveInterfaceGoes(t *testing.T) {
	inNamespace(t)
	ip(t, "link", "add", "rv0", "type", "veth", "peer", "name", "rv1")
	ip(t, "link", "set", "rv0", "up")
	ip(t, "link", "set", "rv1", "up")
	l, err := capture.OpenLive("rv1", capture.LiveConfig{RingBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ip(t, "link", "del", "rv0")
	var s sink
	for range 100 {
		if _, err = l.Read(&s, 50*time.Millisecond); err != nil {
			break
		}
	}
	if !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "rv1") {
		t.Errorf("%v", err)
	}
	if _, again := l.Read(&s, 0); !errors.Is(again, err) {
		t.Errorf("afterwards: %v", again)
	}
}

func TestLiveErrors(t *testing.T) {
	_, err := capture.OpenLive("nosuch0", capture.LiveConfig{})
	if !errs.Is(err, errs.NotFound) || !strings.Contains(err.Error(), "lo") {
		t.Errorf("unknown interface: %v", err)
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(int(f.Fd()))
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err = capture.FromFD(fd, capture.LiveConfig{}); err == nil {
		t.Error("a file is no packet socket")
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); !errors.Is(err, unix.EBADF) {
		t.Errorf("the descriptor was not closed: %v", err)
	}
	if fd, err = capture.OpenSocket("lo"); err == nil {
		if _, err = capture.FromFD(fd, capture.LiveConfig{RingBytes: 1 << 20}); err == nil || !strings.Contains(err.Error(), "8 MiB") {
			t.Errorf("ring of 1 MiB: %v", err)
		}
	}
}

// TestLiveWithoutRight gives all rights of its thread away first.
func TestLiveWithoutRight(t *testing.T) {
	runtime.LockOSThread() // and not given back
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&head, &none[0]); err != nil {
		t.Skipf("capset: %v", err)
	}
	_, err := capture.OpenSocket("lo")
	if !errs.Is(err, errs.Forbidden) || !strings.Contains(err.Error(), "needs CAP_NET_RAW") || !strings.Contains(err.Error(), "setcap") {
		t.Errorf("%v", err)
	}
}
