package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// flow is what the tests look at in an answer of /flows.
type flow struct {
	Source   netip.Addr `json:"source"`
	Dest     netip.Addr `json:"dest"`
	SrcPort  uint16     `json:"source_port"`
	DstPort  uint16     `json:"dest_port"`
	Proto    uint8      `json:"proto"`
	SrcPkts  uint64     `json:"source_packets"`
	DstPkts  uint64     `json:"dest_packets"`
	SrcBytes uint64     `json:"source_bytes"`
	DstBytes uint64     `json:"dest_bytes"`
	App      string     `json:"app"`
	State    string     `json:"tcp_state"`
}

func flows(s server) ([]flow, error) {
	var out struct{ Flows []flow }
	err := s.get("/flows?from=1h&limit=1000", &out)
	return out.Flows, err
}

// conversation is a flow in the form in which independent readers tell it.
type conversation struct {
	Proto    uint8
	Src, Dst string
}

// sums adds up flows per conversation; a flow that goes on over several
// reports has a row in each.
func sums(all []flow) map[conversation][2]uint64 {
	out := map[conversation][2]uint64{}
	add := func(c conversation, pkts, bytes uint64) {
		if pkts > 0 {
			v := out[c]
			out[c] = [2]uint64{v[0] + pkts, v[1] + bytes}
		}
	}
	for _, f := range all {
		src, dst := f.Source.String(), f.Dest.String()
		if f.Proto == 6 || f.Proto == 17 {
			src, dst = fmt.Sprintf("%s:%d", src, f.SrcPort), fmt.Sprintf("%s:%d", dst, f.DstPort)
		}
		add(conversation{f.Proto, src, dst}, f.SrcPkts, f.SrcBytes)
		add(conversation{f.Proto, dst, src}, f.DstPkts, f.DstBytes)
	}
	return out
}

// independent reads a capture with tshark and adds up the same.
func independent(t *testing.T, file string) map[conversation][2]uint64 {
	t.Helper()
	a := command(t, nil, "tshark", "-n", "-r", file, "-Y", "ip", "-T", "fields", "-E", "separator=|",
		"-e", "ip.proto", "-e", "ip.src", "-e", "ip.dst", "-e", "tcp.srcport", "-e", "tcp.dstport", "-e", "udp.srcport", "-e", "udp.dstport", "-e", "frame.len")
	if a.code != 0 {
		t.Fatalf("tshark: %s", a.err)
	}
	out := map[conversation][2]uint64{}
	for line := range strings.Lines(a.out) {
		f := strings.Split(strings.TrimSpace(line), "|")
		proto, _ := strconv.Atoi(f[0])
		src, dst := f[1], f[2]
		if ports := f[3] + f[5]; ports != "" {
			src, dst = src+":"+ports, dst+":"+f[4]+f[6]
		}
		size, err := strconv.Atoi(f[7])
		if err != nil {
			t.Fatalf("tshark line %q: %v", line, err)
		}
		v := out[conversation{uint8(proto), src, dst}]
		out[conversation{uint8(proto), src, dst}] = [2]uint64{v[0] + 1, v[1] + uint64(size)}
	}
	return out
}

// servers starts the DNS, HTTPS and datagram servers of the test network.
func servers(t *testing.T, ns string) {
	t.Helper()
	cmd := exec.Command("ip", "netns", "exec", ns, os.Args[0])
	cmd.Env = append(os.Environ(), "RIND_E2E_ROLE=servers")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	if err := waitLine(out, "ready"); err != nil {
		t.Fatal(err)
	}
}

// play lets the client host do something, to its end.
func play(t *testing.T, ns, role string, env ...string) {
	t.Helper()
	a := command(t, append(env, "RIND_E2E_ROLE="+role), "ip", "netns", "exec", ns, os.Args[0])
	if a.code != 0 {
		t.Fatalf("%s: %s", role, a.err)
	}
}

// record captures the client's interface with tcpdump until stop is called; it
// returns "" when tcpdump or tshark is missing.
func record(t *testing.T, ns string) (file string, stop func()) {
	t.Helper()
	for _, tool := range []string{"tcpdump", "tshark"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is not installed, and CI has to have it", tool)
			}
			return "", func() {}
		}
	}
	file = filepath.Join(t.TempDir(), "independent.pcap")
	p := start(t, ns, nil, "tcpdump", "-i", clientPort, "-U", "--immediate-mode", "-B", "16384", "-w", file)
	eventually(t, 10*time.Second, "tcpdump listens", func() error {
		if !strings.Contains(p.errOut.String(), "listening on") {
			return fmt.Errorf("it says %q", p.errOut)
		}
		return nil
	})
	return file, func() {
		// tcpdump throws away what it has not read when it is told to stop.
		for last := int64(-1); ; {
			time.Sleep(time.Second)
			info, err := os.Stat(file)
			if err != nil || info.Size() == last {
				break
			}
			last = info.Size()
		}
		p.stop(t)
		if !strings.Contains(p.errOut.String(), "\n0 packets dropped by kernel") {
			t.Errorf("tcpdump lost packets, so that it cannot be compared with:\n%s", p.errOut)
		}
	}
}

func TestUpShowsHostAndTraffic(t *testing.T) {
	client, remote := twoHosts(t)
	servers(t, remote)
	s := newServer(t)
	startUp(t, s, client)

	t.Run("the host is managed", func(t *testing.T) { hostIsManaged(t, s) })
	t.Run("its traffic is summarised", func(t *testing.T) { trafficIsSummarised(t, s, client) })
	t.Run("rights are dropped", func(t *testing.T) { rightsAreDropped(t, s) })
	t.Run("killed children come back", func(t *testing.T) { childrenComeBack(t, s, client) })
}

// rightsAreDropped reads what the kernel says of the tap's two processes.
func rightsAreDropped(t *testing.T, s server) {
	const netRawAndKill = "0000000000002020" // 1<<CAP_NET_RAW | 1<<CAP_KILL
	for child, want := range map[string]map[string]string{
		"/tap run":   {"CapPrm": netRawAndKill, "CapEff": netRawAndKill, "CapBnd": "0000000000000000", "NoNewPrivs": "1"},
		"/tap parse": {"CapPrm": "0000000000000000", "CapEff": "0000000000000000", "CapBnd": "0000000000000000", "CapAmb": "0000000000000000", "NoNewPrivs": "1"},
	} {
		out, err := exec.CommandContext(t.Context(), "pgrep", "-f", s.dir+child).Output()
		if err != nil {
			t.Fatalf("looking for %s: %v", child, err)
		}
		pid := strings.TrimSpace(string(out))
		tasks, err := filepath.Glob("/proc/" + pid + "/task/*/status")
		if err != nil || len(tasks) == 0 {
			t.Fatalf("%s: threads of %q: %v, %v", child, pid, tasks, err)
		}
		for _, task := range tasks {
			status, err := os.ReadFile(task)
			if err != nil {
				continue // the thread has ended
			}
			for line := range strings.Lines(string(status)) {
				key, value, _ := strings.Cut(line, ":")
				value = strings.TrimSpace(value)
				if expected, ok := want[key]; ok && value != expected {
					t.Errorf("%s: %s of a thread is %s, want %s", child, key, value, expected)
				}
				if key == "Uid" && child == "/tap parse" && strings.Contains("\t"+value+"\t", "\t0\t") {
					t.Errorf("%s runs as root: %s", child, value)
				}
			}
		}
	}
}

// childrenComeBack kills the agent and the sensor, which rind up starts again.
func childrenComeBack(t *testing.T, s server, client string) {
	before, err := reports(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, child := range []string{"/peel run", "/tap parse"} {
		if out, err := exec.CommandContext(t.Context(), "pkill", "-KILL", "-f", s.dir+child).CombinedOutput(); err != nil {
			t.Fatalf("killing %s: %v %s", child, err, out)
		}
	}
	eventually(t, 30*time.Second, "the peel answers again", func() error {
		if a := s.rind(t, "*", "test.ping", "--timeout", "2s"); a.code != 0 {
			return fmt.Errorf("%+v", a)
		}
		return nil
	})
	play(t, client, "burst", "RIND_E2E_PORT=9001", "RIND_E2E_COUNT=10") // before or after the tap is back: its ledger adds up
	eventually(t, 40*time.Second, "the tap reports again", func() error {
		n, err := reports(s)
		if err == nil && n <= before {
			err = fmt.Errorf("%d reports", n)
		}
		return err
	})
}

// startUp runs `rind up` on the client host and waits until it is managed.
func startUp(t *testing.T, s server, ns string, more ...string) *proc {
	t.Helper()
	args := append([]string{"up", "--data", s.dir, "--listen", "127.0.0.1:0", "--bus-listen", "127.0.0.1:0", "--interface", clientPort}, more...)
	p := start(t, ns, nil, program(t, "rind"), args...)
	eventually(t, 60*time.Second, "rind up is up", func() error {
		if p.ended() {
			t.Fatalf("rind up ended: %v", p.err)
		}
		if !strings.Contains(p.out.String(), "Rind is up.") {
			return fmt.Errorf("it says %q", p.out)
		}
		return nil
	})
	eventually(t, 30*time.Second, "the peel is connected", func() error {
		if a := s.rind(t, "peel", "list"); !strings.Contains(a.out, "connected") {
			return fmt.Errorf("peel list says %s%s", a.out, a.err)
		}
		return nil
	})
	var before uint64
	eventually(t, 30*time.Second, "the tap reports", func() error {
		n, err := reports(s)
		if err != nil {
			return err
		}
		if before == 0 {
			before = n + 1
		}
		if n < before {
			return fmt.Errorf("%d reports", n)
		}
		return nil
	})
	return p
}

// reports is how many reports are committed of all taps.
func reports(s server) (n uint64, err error) {
	var taps struct{ Taps []struct{ Reports uint64 } }
	err = s.get("/taps", &taps)
	for _, t := range taps.Taps {
		n += t.Reports
	}
	return n, err
}

func hostIsManaged(t *testing.T, s server) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	id := strings.ReplaceAll(strings.ToLower(host), ".", "_")
	a := s.rind(t, "*", "test.ping")
	if a.code != 0 || !strings.HasSuffix(a.out, "1 targeted, 1 answered, 0 failed, 0 missing\n") {
		t.Errorf("test.ping: %+v", a)
	}
	a = s.rind(t, "run", id, "cmd.run", "echo out; echo err >&2; exit 7")
	if a.code != 2 || !strings.Contains(a.out, "out") || !strings.Contains(a.out, "7") || !strings.HasSuffix(a.out, "1 targeted, 1 answered, 1 failed, 0 missing\n") {
		t.Errorf("a command that fails: %+v", a)
	}
	a = s.rind(t, "nobody-*", "test.ping")
	if a.code != 1 || a.err == "" {
		t.Errorf("a target that matches nobody: %+v", a)
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	a = s.rind(t, id, "facts.get", "kernel")
	if a.code != 0 || !strings.Contains(a.out, strings.TrimSpace(string(kernel))) {
		t.Errorf("facts.get kernel: %+v, want %s", a, kernel)
	}
	var peel struct {
		Facts struct {
			Hostname   string
			Interfaces []struct{ Name, MAC string }
		}
	}
	if err := s.get("/peels/"+id, &peel); err != nil {
		t.Fatal(err)
	}
	if peel.Facts.Hostname != host || len(peel.Facts.Interfaces) == 0 {
		t.Errorf("facts over the API: %+v", peel.Facts)
	}
	a = s.rind(t, "job", "list", "-o", "json")
	var jobs struct{ Jobs []json.RawMessage }
	var list []json.RawMessage
	if json.Unmarshal([]byte(a.out), &list) != nil {
		_ = json.Unmarshal([]byte(a.out), &jobs)
		list = jobs.Jobs
	}
	if len(list) < 3 {
		t.Errorf("job list shows %d jobs: %s", len(list), a.out)
	}
}

func trafficIsSummarised(t *testing.T, s server, client string) {
	file, stop := record(t, client)
	play(t, client, "traffic")
	stop()
	if file == "" {
		t.Run("compared with an independent reader", func(t *testing.T) {
			t.Skip("skipped: tcpdump or tshark is not installed")
		})
		eventually(t, 40*time.Second, "flows arrive", func() error {
			got, err := flows(s)
			if err == nil && len(sums(got)) < 12 {
				err = fmt.Errorf("%d conversations", len(sums(got)))
			}
			return err
		})
	} else {
		want := independent(t, file)
		eventually(t, 40*time.Second, "the flows are those that tshark reads", func() error {
			got, err := flows(s)
			if err != nil {
				return err
			}
			if diff := cmp.Diff(want, sums(got)); diff != "" {
				return fmt.Errorf("tshark (-) and Rind (+) differ:\n%s", diff)
			}
			return nil
		})
	}
	var names struct {
		DNS []struct {
			Name     string
			RCode    int
			Answered bool
			Proto    int
			Answers  []string
		}
	}
	if err := s.get("/dns?from=1h", &names); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, q := range names.DNS {
		got[q.Name] = fmt.Sprint(q.Proto, q.Answered, q.RCode, q.Answers)
	}
	want := map[string]string{
		"www.example.test":     fmt.Sprint(17, true, 0, []string{serverAddr}),
		"missing.example.test": fmt.Sprint(17, true, 3, []string(nil)),
		"mail.example.test":    fmt.Sprint(6, true, 0, []string{serverAddr}),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("DNS (-want +got):\n%s", diff)
	}
	var hellos struct {
		TLS []struct {
			SNI     string
			ALPN    []string
			Version int
		}
	}
	if err := s.get("/tls?from=1h", &hellos); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, h := range hellos.TLS {
		seen[h.SNI] = h.Version
	}
	if diff := cmp.Diff(map[string]int{"www.example.test": 0x0304, "shop.example.test": 0x0304}, seen); diff != "" {
		t.Errorf("TLS server names (-want +got):\n%s", diff)
	}
	var taps struct {
		Taps []struct {
			Loss struct {
				Received, Summarised uint64
			}
			LossPercent float64 `json:"loss_percent"`
		}
	}
	if err := s.get("/taps", &taps); err != nil {
		t.Fatal(err)
	}
	if len(taps.Taps) != 1 || taps.Taps[0].Loss.Received == 0 || taps.Taps[0].Loss.Received != taps.Taps[0].Loss.Summarised {
		t.Errorf("the tap's ledger: %+v", taps.Taps)
	}
}

func TestKilledServerKeepsWhatItHad(t *testing.T) {
	client, remote := twoHosts(t)
	servers(t, remote)
	s := newServer(t)
	up := startUp(t, s, client)
	play(t, client, "burst", "RIND_E2E_PORT=9001", "RIND_E2E_COUNT=50")
	eventually(t, 40*time.Second, "the burst is committed", func() error { return burstIs(s, 9001, 50) })

	up.kill9()
	// The children see that their parent is gone and end in order.
	eventually(t, 30*time.Second, "the children ended", func() error { return noneRuns(t, s.dir) })

	up = startUp(t, s, client)
	if strings.Contains(up.out.String(), "one-time password") {
		t.Error("a second start made another administrator")
	}
	if a := s.rind(t, "*", "test.ping"); a.code != 0 {
		t.Errorf("the peel is lost: %+v", a)
	}
	if err := burstIs(s, 9001, 50); err != nil {
		t.Errorf("a committed report is lost: %v", err)
	}
	play(t, client, "burst", "RIND_E2E_PORT=9002", "RIND_E2E_COUNT=50")
	eventually(t, 40*time.Second, "traffic after the restart is committed", func() error { return burstIs(s, 9002, 50) })
	if err := burstIs(s, 9001, 50); err != nil {
		t.Errorf("counted twice: %v", err)
	}
}

// noneRuns checks that no process has the folder in its command line.
func noneRuns(t *testing.T, dir string) error {
	if out, _ := exec.CommandContext(t.Context(), "pgrep", "-f", dir).Output(); len(out) > 0 {
		return fmt.Errorf("still running: %s", out)
	}
	return nil
}

// burstIs checks that the rows of all reports add up to exactly n datagrams to
// a port, of 100 bytes behind 42 of headers.
func burstIs(s server, port uint16, n uint64) error {
	got, err := flows(s)
	if err != nil {
		return err
	}
	var pkts, bytes uint64
	for _, f := range got {
		if f.Proto == 17 && f.DstPort == port {
			pkts, bytes = pkts+f.SrcPkts, bytes+f.SrcBytes
		}
	}
	if pkts != n || bytes != n*142 {
		return fmt.Errorf("port %d: %d packets and %d bytes, want %d and %d", port, pkts, bytes, n, n*142)
	}
	return nil
}

// TestKilledTapKeepsWhatItSpooled cuts the tap off from its node, kills it, and
// sees every report that it had spooled arrive once, and the gap told.
func TestKilledTapKeepsWhatItSpooled(t *testing.T) {
	client, remote := twoHosts(t)
	servers(t, remote)
	s := newServer(t)
	serve := func() *proc {
		p := start(t, client, nil, program(t, "rind"), "server", "--data", s.dir, "--listen", "127.0.0.1:8443", "--bus-listen", "127.0.0.1:4222")
		eventually(t, 30*time.Second, "the server serves", func() error { return s.get("/taps", &struct{}{}) })
		return p
	}
	capture := func(dir string) *proc {
		return start(t, client, nil, program(t, "rind-tap"), "run", "--data", dir, "--interface", clientPort, "--set", "report.interval=1s", "--set", "log.level=warn")
	}
	spooled := func(dir string) int {
		files, _ := filepath.Glob(filepath.Join(dir, "spool", "*"))
		return len(files)
	}

	srv := serve()
	var added struct{ Token string }
	a := s.rind(t, "tap", "add", "edge", "-o", "json")
	if err := json.Unmarshal([]byte(a.out), &added); err != nil || added.Token == "" {
		t.Fatalf("tap add: %+v %v", a, err)
	}
	dir := filepath.Join(s.dir, "edge")
	pin := strings.TrimSpace(s.rind(t, "server", "pin", "--data", s.dir).out)
	if a := command(t, nil, "ip", "netns", "exec", client, program(t, "rind-tap"), "join", "--data", dir,
		"--server", "https://127.0.0.1:8443", "--pin", pin, "--token", added.Token); a.code != 0 {
		t.Fatalf("join: %+v", a)
	}
	first := capture(dir)
	eventually(t, 20*time.Second, "a report is committed", func() error {
		play(t, client, "burst", "RIND_E2E_PORT=9003", "RIND_E2E_COUNT=1")
		got, err := flows(s)
		if err == nil && len(got) == 0 {
			err = errors.New("no flow yet")
		}
		return err
	})

	srv.kill9()
	play(t, client, "burst", "RIND_E2E_PORT=9001", "RIND_E2E_COUNT=200")
	time.Sleep(2500 * time.Millisecond) // two reports' time, so that the burst is in the spool
	if spooled(dir) == 0 {
		t.Fatal("nothing was spooled while the node was away")
	}
	_ = syscall.Kill(-first.Process.Pid, syscall.SIGKILL) // the opener and the parsing process
	<-first.done
	eventually(t, 10*time.Second, "both processes are gone", func() error { return noneRuns(t, dir) })
	capture(dir)
	time.Sleep(1500 * time.Millisecond)
	play(t, client, "burst", "RIND_E2E_PORT=9002", "RIND_E2E_COUNT=200")
	time.Sleep(2500 * time.Millisecond)
	serve()
	eventually(t, 90*time.Second, "both bursts are committed", func() error {
		if err := burstIs(s, 9001, 200); err != nil {
			return err
		}
		return burstIs(s, 9002, 200)
	})
	var taps struct {
		Taps []struct {
			LastGap *struct {
				Boot     string
				Sequence uint64
			} `json:"last_gap"`
		}
	}
	if err := s.get("/taps", &taps); err != nil {
		t.Fatal(err)
	}
	if len(taps.Taps) != 1 || taps.Taps[0].LastGap == nil || taps.Taps[0].LastGap.Sequence == 0 {
		t.Errorf("the first report after the kill carries no gap: %+v", taps.Taps)
	}
	time.Sleep(3 * time.Second)
	for _, port := range []uint16{9001, 9002} {
		if err := burstIs(s, port, 200); err != nil {
			t.Errorf("counted twice: %v", err)
		}
	}
}
