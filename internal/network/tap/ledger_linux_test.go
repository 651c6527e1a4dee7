package tap

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/packet/packettest"
)

var (
	spaces atomic.Int32
	loops  = flag.Int("loops", 5, "how often TestLedgerLive replays its 8000 packets; a great number shows that a tap keeps up")
)

// wire is two network namespaces with a veth pair between them.
type wire struct{ from, to string }

// newWire makes the namespaces, and takes them away with the test.
func newWire(t *testing.T) wire {
	t.Helper()
	n := spaces.Add(1)
	w := wire{fmt.Sprintf("rindtest-%d-%d-a", os.Getpid(), n), fmt.Sprintf("rindtest-%d-%d-b", os.Getpid(), n)}
	for _, ns := range []string{w.from, w.to} {
		if out, err := exec.Command("ip", "netns", "add", ns).CombinedOutput(); err != nil {
			t.Skipf("a network namespace needs root and iproute2: %v: %s", err, out)
		}
		t.Cleanup(func() {
			if out, err := exec.Command("ip", "netns", "del", ns).CombinedOutput(); err != nil {
				t.Errorf("ip netns del: %v: %s", err, out)
			}
		})
		// The hosts at the ends stay silent.
		command(t, "ip", "netns", "exec", ns, "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6")
	}
	w.plug(t)
	return w
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// plug makes the veth pair: out in one namespace, in in the other.
func (w wire) plug(t *testing.T) {
	t.Helper()
	command(t, "ip", "-n", w.from, "link", "add", "out", "type", "veth", "peer", "name", "in", "netns", w.to)
	command(t, "ip", "-n", w.to, "link", "set", "in", "mtu", "9000", "up")
	command(t, "ip", "-n", w.from, "link", "set", "out", "mtu", "9000", "up")
}

// sources opens the receiving end. Every later use of the sockets works from
// any namespace.
func (w wire) sources(small bool) func(string, Capture) ([]capture.Source, error) {
	return func(iface string, cfg Capture) (sources []capture.Source, err error) {
		ns, err := os.Open("/run/netns/" + w.to)
		if err != nil {
			return nil, err
		}
		defer ns.Close()
		var opened sync.WaitGroup
		opened.Go(func() {
			runtime.LockOSThread() // and not given back: the thread ends in the namespace
			if err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return
			}
			live := cfg.Live()
			if small {
				live.RingBytes, live.SmallRing = 2<<20, true
			}
			var workers []*capture.Live
			workers, err = capture.OpenWorkers(capture.OpenSocket, iface, cfg.Workers, live)
			for _, l := range workers {
				if small {
					sources = append(sources, &slow{Live: l})
				} else {
					sources = append(sources, l)
				}
			}
		})
		opened.Wait()
		return sources, err
	}
}

// slow reads so seldom at first that a small ring runs over.
type slow struct {
	*capture.Live
	reads int
}

// Read implements capture.Source.
func (s *slow) Read(h capture.Handler, wait time.Duration) (int, error) {
	if s.reads++; s.reads < 12 {
		time.Sleep(150 * time.Millisecond)
	}
	return s.Live.Read(h, wait)
}

var replayed = regexp.MustCompile(`Successful packets:\s+(\d+)`)

// replay sends a capture at top speed, as often as told, and returns how many
// packets the generator counted.
func (w wire) replay(t *testing.T, path string, loops int) uint64 {
	t.Helper()
	out := command(t, "ip", "netns", "exec", w.from, "tcpreplay", "-q", "-K", "--topspeed", "--loop", strconv.Itoa(loops), "-i", "out", path)
	m := replayed.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("tcpreplay says: %s", out)
	}
	n, err := strconv.ParseUint(m[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(strings.Join(strings.Fields(out), " "))
	return n
}

// sum adds up the ledgers of an interface in what arrived, and the packets of
// each flow.
func (n *fakeNode) sum(t *testing.T, iface string) (sum network.Ledger, flows map[wireKey]uint64) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	flows = map[wireKey]uint64{}
	for _, r := range n.reports {
		for _, l := range r.Interfaces {
			if l.Interface != iface {
				continue
			}
			if !l.Balanced() {
				t.Errorf("report %d: the ledger %+v does not add up", r.Sequence, l)
			}
			add(&sum, l)
		}
		for i := range r.Flows {
			flows[keyOf(&r.Flows[i])] += r.Flows[i].SrcPkts + r.Flows[i].DstPkts
		}
	}
	return sum, flows
}

// sendable is a mix of frames that a veth pair carries, with some fragments.
func sendable(n int) (frames []packettest.Timed, wire uint64) {
	for _, f := range packettest.Mix(21, n) {
		if len(f.Data) < 60 { // as a card would pad it
			f.Data = append(f.Data[:len(f.Data):len(f.Data)], make([]byte, 60-len(f.Data))...)
		}
		frames = append(frames, f)
		wire += uint64(len(f.Data))
	}
	return frames, wire
}

func needTcpreplay(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"ip", "tcpreplay"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed: the test sends with it", tool)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
}

// TestLedgerLive replays a capture at top speed between two namespaces. Unless
// -loops says more, the default ring holds all of it, so that nothing is dropped, and everything has
// to be counted; the flows of two workers have to be those of one.
func TestLedgerLive(t *testing.T) {
	needTcpreplay(t)
	frames, bytes := sendable(8000)
	path, _ := writePcap(t, "mix.pcap", frames)
	var one map[wireKey]uint64
	for _, workers := range []int{1, 2} {
		w := newWire(t)
		node := newFakeNode(t)
		cfg := testConfig(t, node.URL)
		cfg.Interfaces = Named("in")
		cfg.Flow.MaxFlows = 65536
		cfg.Capture.Workers, cfg.Capture.CPUs = workers, []int{0}
		tap := New(cfg, Deps{Sources: w.sources(false)})
		if err := tap.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the interface is open", func() bool { return tap.stations[0].trouble() == nil })
		sent := w.replay(t, path, *loops)
		if err := tap.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		sum, flows := node.sum(t, "in")
		t.Logf("%d workers: sent %d, %+v", workers, sent, sum)
		if sum.Received != sent || sum.DroppedKernel != 0 || sum.DroppedPipeline != 0 || sum.Bytes != uint64(*loops)*bytes {
			t.Errorf("%d workers: sent %d packets with %d bytes, the ledger says %+v", workers, sent, uint64(*loops)*bytes, sum)
		}
		if one == nil {
			one = flows
		} else if len(flows) != len(one) {
			t.Errorf("%d flows of two workers, %d of one", len(flows), len(one))
		}
		for key, n := range one {
			if flows[key] != n {
				t.Fatalf("%d workers: %d packets in %+v, want %d", workers, flows[key], key, n)
			}
		}
	}
}

// TestLedgerDrops does the same with a ring that is too small and a reader that
// is too slow: packets are dropped, and the ledger still adds up to what the
// generator sent.
func TestLedgerDrops(t *testing.T) {
	needTcpreplay(t)
	frames, _ := sendable(8000)
	path, _ := writePcap(t, "mix.pcap", frames)
	for _, workers := range []int{1, 2} {
		w := newWire(t)
		node := newFakeNode(t)
		cfg := testConfig(t, node.URL)
		cfg.Interfaces = Named("in")
		cfg.Flow.MaxFlows = 65536
		cfg.Capture.Workers = workers
		tap := New(cfg, Deps{Sources: w.sources(true)})
		if err := tap.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the interface is open", func() bool { return tap.stations[0].trouble() == nil })
		sent := w.replay(t, path, 5)
		if err := tap.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		sum, _ := node.sum(t, "in")
		t.Logf("%d workers: sent %d, %+v", workers, sent, sum)
		if sum.Received != sent || sum.DroppedKernel == 0 || sum.Summarised == 0 {
			t.Errorf("%d workers: sent %d packets, the ledger says %+v", workers, sent, sum)
		}
		if i := tap.Status().Interfaces[0]; i.RingFull == 0 || i.RingPeak == 0 || i.RingPeak > i.RingBytes || i.DroppedKernel != sum.DroppedKernel {
			t.Errorf("%d workers: the status says %+v", workers, i)
		}
	}
}

// TestInterfaceReturns deletes the interface and makes it again: what was sent
// before and after is counted, and the tap says meanwhile that it is gone.
func TestInterfaceReturns(t *testing.T) {
	needTcpreplay(t)
	frames, _ := sendable(2000)
	path, _ := writePcap(t, "mix.pcap", frames)
	w := newWire(t)
	node := newFakeNode(t)
	cfg := testConfig(t, node.URL)
	cfg.Interfaces = Named("in")
	cfg.Capture.Workers = 2
	tap := New(cfg, Deps{Sources: w.sources(false)})
	if err := tap.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the interface is open", func() bool { return tap.stations[0].trouble() == nil })
	sent := w.replay(t, path, 1)
	command(t, "ip", "-n", w.from, "link", "del", "out")
	eventually(t, "the interface is gone", func() bool { return tap.Check(t.Context()) != nil })
	if err := tap.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "interface in") {
		t.Errorf("the check says %v", err)
	}
	w.plug(t)
	eventually(t, "the interface is back", func() bool { return tap.Check(t.Context()) == nil })
	sent += w.replay(t, path, 1)
	if err := tap.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if sum, _ := node.sum(t, "in"); sum.Received != sent || sum.DroppedKernel+sum.DroppedPipeline != 0 {
		t.Errorf("sent %d packets, the ledger says %+v", sent, sum)
	}
}

// TestWorkerFails: when one worker's source fails, the others are opened again
// with it, and what a source still held is given up, and counted.
func TestWorkerFails(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	cfg := testConfig(t, node.URL)
	cfg.Interfaces = Named("a")
	cfg.Capture.Workers = 2
	mix := packettest.Mix(4, 1000)
	var given [2]int
	var opened atomic.Int32
	tap := New(cfg, Deps{Sources: func(string, Capture) ([]capture.Source, error) {
		first := &fakeSource{name: "a", frames: mix, given: &given[0]}
		second := &holding{fakeSource: fakeSource{name: "a", frames: mix, given: &given[1]}}
		if opened.Add(1) == 1 {
			second.dieAt, second.held = 300, 17
		}
		return []capture.Source{first, second}, nil
	}})
	if err := tap.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all is captured", func() bool {
		sum, _ := node.sum(t, "a")
		return sum.Received == 2*1000+17 && opened.Load() == 2
	})
	if err := tap.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if sum, _ := node.sum(t, "a"); sum.DroppedPipeline != 17 {
		t.Errorf("%+v", sum)
	}
}

// holding is a source that received more than it gives.
type holding struct {
	fakeSource
	held uint64
}

// Stats implements capture.Source.
func (s *holding) Stats() (capture.Stats, error) {
	return capture.Stats{Received: s.held}, nil
}

// TestPin binds this thread to a CPU and lets it go.
func TestPin(t *testing.T) {
	t.Parallel()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, bound, after unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	release, err := pin(0)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(unix.SchedGetaffinity(0, &bound))
	release()
	if err = errors.Join(err, unix.SchedGetaffinity(0, &after)); err != nil {
		t.Fatal(err)
	}
	if bound.Count() != 1 || !bound.IsSet(0) || after != before {
		t.Errorf("bound to %d CPUs, afterwards allowed on %d of %d", bound.Count(), after.Count(), before.Count())
	}
	if _, err := pin(1023); err == nil {
		t.Error("a CPU that is not there is taken")
	}
}
