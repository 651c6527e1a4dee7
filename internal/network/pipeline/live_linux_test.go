package pipeline_test

import (
	"net"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/packet/packettest"
	"github.com/rind-project/rind/internal/network/pipeline"
)

// TestLive sends a known number of datagrams over the loopback of a network
// namespace of its own and compares flow, ledger and names with what was sent.
func TestLive(t *testing.T) {
	runtime.LockOSThread() // and not given back: the thread stays in the namespace
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("a network namespace needs root: %v", err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Skipf("ip link set lo up: %v: %s", err, out)
	}
	src, err := capture.OpenLive("lo", capture.LiveConfig{RingBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	p := pipeline.New(pipeline.Config{Interface: "lo"})
	server, err := net.ListenPacket("udp4", "127.0.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client, err := net.Dial("udp4", "127.0.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const n = 2000
	question := packettest.Query(1, "live.example.com", 1)
	for range n {
		client.Write(question)
	}
	server.WriteTo(packettest.Answer(1, "live.example.com", 1, [4]byte{192, 0, 2, 1}), client.LocalAddr())
	for quiet := 0; quiet < 3; quiet++ {
		got, err := src.Read(p, 50*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if got > 0 {
			quiet = -1
		}
	}
	stats, err := src.Stats()
	if err != nil {
		t.Fatal(err)
	}
	p.ReceivedKernelDrops(stats.Dropped)
	r := p.Finish(time.Now())
	l := r.Interfaces[0]
	size := uint64(42 + len(question))
	if !l.Balanced() || l.Received != n+1 || l.Received != stats.Received || l.Summarised != n+1 {
		t.Errorf("ledger %+v, kernel %+v; sent %d", l, stats, n+1)
	}
	if len(r.Flows) != 1 {
		t.Fatalf("%d flows", len(r.Flows))
	}
	f := r.Flows[0]
	if f.SrcPkts != n || f.SrcBytes != n*size || f.DstPkts != 1 || f.DstBytes != size+16 || f.DstPort != 53 ||
		f.Proto != network.UDP || f.App != "dns" {
		t.Errorf("%+v", f)
	}
	if len(r.DNS) != 1 || r.DNS[0].Name != "live.example.com" || !r.DNS[0].Answered || r.DNS[0].Answers[0] != "192.0.2.1" {
		t.Errorf("%+v", r.DNS)
	}
	if age := time.Since(r.Start); age < 0 || age > time.Minute {
		t.Errorf("the report begins at %v", r.Start)
	}
}
