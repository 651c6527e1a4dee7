package tap

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rind-project/rind/internal/network"
)

// freePort returns a port of loopback that was free just now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// link makes a pair of interfaces, name and another one, and takes it away with
// the test. (Not every kernel has interfaces of the type dummy.)
func link(t *testing.T, name string) {
	t.Helper()
	other := name + "p"
	if out, err := exec.Command("ip", "link", "add", name, "type", "veth", "peer", "name", other).CombinedOutput(); err != nil {
		if os.Geteuid() == 0 && !errors.Is(err, exec.ErrNotFound) {
			t.Fatalf("making a pair of interfaces: %v: %s", err, out)
		}
		t.Skipf("skipped: making an interface needs root and iproute2: %v: %s", err, out)
	}
	t.Cleanup(func() { unlink(name) })
	for _, end := range []string{name, other} {
		if out, err := exec.Command("ip", "link", "set", end, "up").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}

func unlink(name string) { _ = exec.Command("ip", "link", "del", name).Run() }

// status asks the tap by its command.
func (r *running) status() (s Status, err error) {
	out, err := r.ask("status", "-o", "json")
	if err != nil {
		return s, errors.New(out + r.out.String())
	}
	return s, json.Unmarshal([]byte(out), &s)
}

// captured returns the interfaces that are captured.
func (s *Status) captured() (names []string) {
	for _, i := range s.Interfaces {
		if i.Up {
			names = append(names, i.Interface)
		}
	}
	slices.Sort(names)
	return names
}

// want polls the status until it is as wanted.
func (r *running) want(what string, ok func(*Status) bool) (s Status) {
	r.t.Helper()
	until(r.t, what, func() (err error) {
		if s, err = r.status(); err == nil && !ok(&s) {
			text, _ := json.Marshal(s)
			err = fmt.Errorf("the status is %s\n%s", text, r.out)
		}
		return err
	})
	return s
}

// TestRunningTap runs the real binary: how its processes are held, what it says
// of itself, and what it does with another configuration, a broken one, and an
// interface that comes later.
func TestRunningTap(t *testing.T) {
	t.Parallel()
	node, metrics := newNode(t), freePort(t)
	node.up()
	pid := os.Getpid()
	first, later := fmt.Sprintf("rta%d", pid), fmt.Sprintf("rtb%d", pid)
	link(t, first)
	text := "log: {format: json}\nreport: {interval: 200ms}\nmetrics: {listen: \"" + metrics + "\"}\nnode: {urls: [\"http://" + node.addr + "\"], token: " + node.token + "}\n"
	dir := t.TempDir()
	r := startTap(t, filepath.Join(dir, "data"), filepath.Join(dir, "tap.yaml"), text+"interfaces: [lo]\n")
	s := r.want("lo is captured, and a report delivered", func(s *Status) bool {
		return slices.Equal(s.captured(), []string{"lo"}) && s.Delivery != nil && s.Delivery.Committed > 0 && s.Interfaces[0].Received > 0
	})
	checkWalls(t, r, s)
	checkShown(t, r, metrics)

	r.write(text + "interfaces: [{name: lo, filter: \"udp port 9\", workers: 2, cpus: [0]}, " + first + ", " + later + "]\nspool: {max_bytes: 2MiB}\nflow: {max_flows: 2048}\nname: other\n")
	s = r.want("the second configuration is in force", func(s *Status) bool { return slices.Equal(s.captured(), []string{"lo", first}) })
	if i := s.Interfaces[0]; i.Filter != "udp port 9" || i.Workers != 2 || i.RingBytes != 128<<20 {
		t.Errorf("lo is captured as %+v", i)
	}
	if s.Spool.MaxBytes != 2<<20 || !slices.Equal(s.Config.Restart, []string{"name"}) || s.Config.Changes != 1 {
		t.Errorf("the status is %+v", s)
	}
	link(t, later) // an interface that the opener has never seen
	r.want("the interface that came later is captured", func(s *Status) bool { return slices.Contains(s.captured(), later) })

	unlink(later)
	s = r.want("the interface that went is told", func(s *Status) bool { return !slices.Contains(s.captured(), later) })
	if i := s.Interfaces[2]; i.Interface != later || i.Error == "" {
		t.Errorf("an interface that is gone is shown as %+v", i)
	}
	link(t, later)
	r.want("the interface that came back is captured", func(s *Status) bool { return slices.Contains(s.captured(), later) })

	r.write(text + "interfaces: [lo]\nreport: {intervall: 1s}\n")
	s = r.want("the broken file is refused", func(s *Status) bool { return s.Config.Refused == 1 })
	if !strings.Contains(s.Config.Error, "tap.yaml:") || !strings.Contains(s.Config.Error, "report") || len(s.Interfaces) != 3 {
		t.Errorf("after a broken file: %+v", s.Config)
	}
	r.write(text + "capture: {ring_bytes: 1MiB}\ninterfaces: [lo]\n")
	s = r.want("the bad value is refused", func(s *Status) bool { return s.Config.Refused == 2 })
	if !strings.Contains(s.Config.Error, "tap.yaml:5") || !strings.Contains(s.Config.Error, "capture.ring_bytes") {
		t.Errorf("after a bad value: %+v", s.Config)
	}
	if out, _ := r.ask("status"); !strings.Contains(out, "refused last: ") || !strings.Contains(out, "udp port 9") {
		t.Errorf("the status does not tell:\n%s", out)
	}

	r.write(text + "interfaces: [" + first + "]\n")
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	r.want("only one interface is left", func(s *Status) bool { return slices.Equal(s.captured(), []string{first}) && s.Config.Error == "" })
	r.stop()
	if strings.Contains(r.out.String(), "could not be bound") {
		t.Errorf("behind the wall no worker can be bound to a CPU:\n%s", r.out)
	}
	for _, rep := range node.got() {
		for _, l := range rep.Interfaces {
			if !l.Balanced() {
				t.Errorf("report %d: the ledger %+v does not add up", rep.Sequence, l)
			}
		}
	}
}

// checkWalls looks at both processes as the kernel tells of them.
func checkWalls(t *testing.T, r *running, s Status) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.parser()))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Seccomp:\t2", "NoNewPrivs:\t1", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "CapBnd:\t0000000000000000", "CapAmb:\t0000000000000000", "Uid:\t65534\t65534\t65534\t65534"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the parsing process has no line %q:\n%s", want, text)
		}
	}
	if text, err = os.ReadFile(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid)); err != nil {
		t.Fatal(err)
	}
	const opener = "CapEff:\t0000000000002020" // CAP_KILL and CAP_NET_RAW
	if !strings.Contains(string(text), opener) || !strings.Contains(string(text), "NoNewPrivs:\t1") {
		t.Errorf("the opener has no line %q:\n%s", opener, text)
	}
	if w := s.Walls; !w.Opener || w.UID != 65534 || !w.Seccomp || !w.NoNewPrivs || strings.Trim(w.Capabilities, "0") != "" {
		t.Errorf("the tap says of its walls %+v", w)
	}
	info, err := os.Stat(filepath.Join(r.data, socketName))
	if err != nil || info.Mode().Perm() != 0o600 || info.Mode()&os.ModeSocket == 0 {
		t.Errorf("the status socket: %v, %v", info, err)
	}
}

// checkShown compares what a person is shown with the metrics.
func checkShown(t *testing.T, r *running, metrics string) {
	t.Helper()
	out, err := r.ask("status")
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"tap            t1, ", "walls          user 65534, sockets from the opener, no capability, no new privileges, system calls filtered", "clock          the node's minus this host's: ", "INTERFACE", "LEDGER", "FRAGMENTS", "GIVEN UP", "DROPPED (KERNEL)", "PARSER", "64.0 MiB", "delivery       to http://" + "127.0.0.1"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
	resp, err := http.Get("http://" + metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`rind_tap_packets_total{interface="lo",term="received"}`, `term="dropped_kernel"`, `rind_tap_ring_bytes{interface="lo"} 6.7108864e+07`,
		`rind_tap_ring_used_bytes{interface="lo",worker="0"}`, "rind_tap_ring_full_total", "rind_tap_worker_busy_ratio", "rind_tap_flows_max 262144", "rind_tap_spool_reports",
		"rind_tap_spool_age_seconds", "rind_tap_clock_skew_seconds", `rind_tap_reports_total{result="committed"}`, "rind_tap_parser_events_total", `rind_tap_fragment_bytes{interface="lo",worker="0"}`, `event="datagram_given_up"`, `rind_tap_configurations_total{result="refused"} 0`,
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

// TestStatusWithoutATap says what to do.
func TestStatusWithoutATap(t *testing.T) {
	t.Parallel()
	var out, told strings.Builder
	if code := Main([]string{"status", "--data", t.TempDir()}, &out, &told); code != 1 || !strings.Contains(told.String(), "no tap runs with the data folder") {
		t.Errorf("exit code %d, %q", code, told.String())
	}
	if code := Main([]string{"status", "-o", "yaml"}, &out, &told); code != 1 || !strings.Contains(told.String(), "use table or json") {
		t.Errorf("exit code %d, %q", code, told.String())
	}
}

// TestTokenOfARunningTap gives a tap whose token is not taken a new one, as
// `rind-tap join` does, and it goes on without a restart.
func TestTokenOfARunningTap(t *testing.T) {
	t.Parallel()
	node := newNode(t)
	node.up()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := (joined{URLs: []string{"http://" + node.addr}, Token: "rindtap_t1_old"}).save(data); err != nil {
		t.Fatal(err)
	}
	r := startTap(t, data, filepath.Join(dir, "tap.yaml"), "interfaces: [lo]\nreport: {interval: 200ms}\n")
	r.want("the old token is refused", func(s *Status) bool { return s.Delivery != nil && s.Delivery.Denied })
	if err := (joined{URLs: []string{"http://" + node.addr}, Token: node.token}).save(data); err != nil {
		t.Fatal(err)
	}
	r.want("the new token is taken", func(s *Status) bool { return s.Delivery.Committed > 0 && !s.Delivery.Denied })
	if reports := node.got(); reports[0].Sequence != 1 {
		t.Errorf("the first report is %d", reports[0].Sequence)
	}
}

// order checks that reports arrived once and in order: within a boot numbers
// rise by one, and each boot but the first tells the gap after the one before.
func order(t *testing.T, reports []*network.Report, boots int) {
	t.Helper()
	seen := 0
	for i, r := range reports {
		switch {
		case i > 0 && r.Boot == reports[i-1].Boot:
			if r.Sequence != reports[i-1].Sequence+1 || r.Gap != nil {
				t.Errorf("after report %d of %s comes %d, with the gap %v", reports[i-1].Sequence, r.Boot, r.Sequence, r.Gap)
			}
			if r.Start.Before(reports[i-1].End) {
				t.Errorf("report %d begins before the one before it ended", r.Sequence)
			}
		case r.Sequence != 1:
			t.Errorf("the first report of %s is %d", r.Boot, r.Sequence)
		default:
			seen++
			if i == 0 {
				continue
			}
			if last := reports[i-1]; r.Gap == nil || r.Gap.Boot != last.Boot || r.Gap.Sequence != last.Sequence {
				t.Errorf("after %s/%d the next boot tells the gap %+v", last.Boot, last.Sequence, r.Gap)
			}
		}
	}
	if seen != boots {
		t.Errorf("reports of %d boots arrived, want %d", seen, boots)
	}
}
