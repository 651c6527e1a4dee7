package tap

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
	"github.com/rind-project/rind/internal/network/report"
)

const token = network.TokenPrefix + "t1_secret"

// fakeNode takes reports, each identity once, as a node does.
type fakeNode struct {
	*httptest.Server
	mu      sync.Mutex
	reports []*network.Report
	seen    map[network.Identity]bool
	refuse  int // status, while not 0
}

func newFakeNode(t *testing.T) *fakeNode {
	t.Helper()
	n := &fakeNode{seen: map[network.Identity]bool{}}
	n.Server = httptest.NewServer(http.HandlerFunc(n.take))
	t.Cleanup(n.Close)
	return n
}

func (n *fakeNode) take(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.refuse != 0 {
		w.WriteHeader(n.refuse)
		_, _ = io.WriteString(w, `{"error":{"kind":"invalid","message":"not today"}}`)
		return
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	rep, err := report.Decode(b, report.DefaultLimits())
	if err != nil || r.Header.Get("Authorization") != "Bearer "+token {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	status := "duplicate"
	if !n.seen[rep.Identity] {
		n.seen[rep.Identity] = true
		n.reports = append(n.reports, rep)
		status = "committed"
	}
	_, _ = io.WriteString(w, `{"status":"`+status+`"}`)
}

func (n *fakeNode) set(status int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refuse = status
}

// ledgers sums what arrived, by interface, and the packets and bytes of all
// flows.
func (n *fakeNode) ledgers(t *testing.T) (by map[string]network.Ledger, flows network.Ledger) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	by = map[string]network.Ledger{}
	for _, r := range n.reports {
		for _, l := range r.Interfaces {
			if !l.Balanced() {
				t.Errorf("report %d: the ledger %+v does not add up", r.Sequence, l)
			}
			sum := by[l.Interface]
			sum.Received += l.Received
			sum.Summarised += l.Summarised
			sum.DroppedKernel += l.DroppedKernel
			sum.Malformed += l.Malformed
			sum.Bytes += l.Bytes
			by[l.Interface] = sum
		}
		for _, f := range r.Flows {
			flows.Summarised += f.SrcPkts + f.DstPkts
			flows.Bytes += f.SrcBytes + f.DstBytes
		}
	}
	return by, flows
}

// fakeSource gives packets of a mix, and fails when it is told to.
type fakeSource struct {
	name    string
	frames  []packettest.Timed
	dropped uint64
	dieAt   int // frames after which the interface is gone, once
	given   *int
}

func (s *fakeSource) Name() string { return s.name }

func (s *fakeSource) Read(h capture.Handler, wait time.Duration) (int, error) {
	n := min(97, len(s.frames)-*s.given)
	if s.dieAt > 0 && *s.given >= s.dieAt {
		s.dieAt = 0
		return 0, errors.New("network is down")
	}
	for _, f := range s.frames[*s.given : *s.given+n] {
		h.Packet(time.Now().UnixNano(), packet.LinkEthernet, f.Data, len(f.Data))
	}
	*s.given += n
	time.Sleep(min(wait, 2*time.Millisecond))
	return n, nil
}

func (s *fakeSource) Stats() (capture.Stats, error) {
	return capture.Stats{Dropped: s.dropped, RingSize: 1 << 20}, nil
}

func (s *fakeSource) Close() error { return nil }

// one gives an interface one source.
func one(open func(string) (capture.Source, error)) func(string, Capture) ([]capture.Source, error) {
	return func(name string, _ Capture) ([]capture.Source, error) {
		src, err := open(name)
		return []capture.Source{src}, err
	}
}

func testConfig(t *testing.T, urls ...string) Config {
	cfg := DefaultConfig()
	cfg.DataDir = t.TempDir()
	cfg.Node = Node{URLs: urls, Token: token}
	cfg.Report.Interval = 100 * time.Millisecond
	cfg.Flow.MaxFlows = 4096
	return cfg
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 20 seconds", what)
		}
	}
}

// TestTap runs two interfaces, one of which dies and comes back, and compares
// what arrives with what was captured, to the packet and the byte.
func TestTap(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	mix := packettest.Mix(1, 6000)
	mix[7].Data = mix[7].Data[:9] // no whole link header
	var given [2]int
	opened := map[string]int{}
	cfg := testConfig(t, node.URL)
	cfg.Interfaces = Named("a", "b")
	var mu sync.Mutex
	source := func(name string) (capture.Source, error) {
		mu.Lock()
		defer mu.Unlock()
		opened[name]++
		if name == "a" {
			return &fakeSource{name: name, frames: mix, dropped: 11, given: &given[0]}, nil
		}
		if opened[name] == 2 {
			return nil, errors.New("no such device")
		}
		die := 0
		if opened[name] == 1 {
			die = 1000
		}
		return &fakeSource{name: name, frames: mix[:3000], dropped: 5, dieAt: die, given: &given[1]}, nil
	}
	reg := prometheus.NewRegistry()
	tap := New(cfg, Deps{Sources: one(source), Version: "v1", Metrics: reg})
	if err := tap.Check(t.Context()); err == nil {
		t.Error("the tap is ready before it started")
	}
	if err := tap.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a reports without b", func() bool { by, _ := node.ledgers(t); return by["a"].Received > 0 && tap.Check(t.Context()) != nil })
	if err := tap.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "interface b") {
		t.Errorf("the check says %v", err)
	}
	eventually(t, "b comes back and all is captured", func() bool {
		by, _ := node.ledgers(t)
		return by["a"].Received == 6011 && by["b"].Received == 3010 && tap.Check(t.Context()) == nil
	})
	if err := tap.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := tap.Stop(t.Context()); err != nil {
		t.Errorf("the second stop gives %v", err)
	}

	by, flows := node.ledgers(t)
	var bytes [2]uint64
	for i, f := range mix {
		bytes[0] += uint64(len(f.Data))
		if i < 3000 {
			bytes[1] += uint64(len(f.Data))
		}
	}
	if a := by["a"]; a.Received != 6011 || a.DroppedKernel != 11 || a.Bytes != bytes[0] {
		t.Errorf("the ledger of a is %+v, want 6000 packets in %d bytes", a, bytes[0])
	}
	// b was opened twice, and its source counted five drops each time.
	if b := by["b"]; b.Received != 3010 || b.DroppedKernel != 10 || b.Bytes != bytes[1] {
		t.Errorf("the ledger of b is %+v, want 3000 packets in %d bytes", b, bytes[1])
	}
	if all := by["a"].Summarised + by["b"].Summarised; flows.Summarised == 0 || flows.Summarised > all {
		t.Errorf("the flows have %d packets, the ledgers %d", flows.Summarised, all)
	}
	checkReports(t, node, tap)
	checkEvents(t, reg, by)
}

// checkEvents compares the reasons of malformed packets with the ledgers.
func checkEvents(t *testing.T, reg *prometheus.Registry, by map[string]network.Ledger) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	malformed, events, questions := map[string]uint64{}, 0, uint64(0)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "rind_tap_malformed_total":
				malformed[m.GetLabel()[0].GetValue()] += uint64(m.GetCounter().GetValue())
			case "rind_tap_pipeline_events_total":
				events++
			case "rind_tap_parser_events_total": // labels are sorted: event, interface, parser, worker
				if l := m.GetLabel(); l[0].GetValue() == "transaction" && l[2].GetValue() == "dns" {
					questions += uint64(m.GetCounter().GetValue())
				}
			}
		}
	}
	for _, name := range []string{"a", "b"} {
		if n := by[name].Malformed; n == 0 || malformed[name] != n {
			t.Errorf("%s: %d packets are malformed for a reason, %d in the ledger", name, malformed[name], n)
		}
	}
	if events != 22 {
		t.Errorf("%d series of events, want 11 for each interface", events)
	}
	if questions == 0 {
		t.Error("no transaction of the DNS parser is counted")
	}
}

func checkReports(t *testing.T, node *fakeNode, tap *Tap) {
	t.Helper()
	for i, r := range node.reports {
		if r.Sequence != uint64(i+1) || r.Tap != "t1" || r.Boot != tap.boot || r.Gap != nil || len(r.Interfaces) != 2 {
			t.Errorf("report %d is %+v with %d ledgers and gap %v", i, r.Identity, len(r.Interfaces), r.Gap)
		}
		if i > 0 && !r.Start.Equal(node.reports[i-1].End) {
			t.Errorf("report %d starts at %s, the one before ended at %s", i, r.Start, node.reports[i-1].End)
		}
	}
	if h := node.reports[len(node.reports)-2].Health; h.Version != "v1" || h.CPUSeconds <= 0 || h.MemoryBytes < 1<<20 || h.FlowsMax != 8192 || h.RingBytes != 2<<20 {
		t.Errorf("health is %+v", h)
	}
}

// TestTapKilled ends a tap as kill -9 does, while no node answers, and shows
// that the next one delivers everything, in order, and tells the gap.
func TestTapKilled(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	node.set(http.StatusServiceUnavailable)
	cfg := testConfig(t, node.URL)
	cfg.Interfaces = Named("a")
	mix := packettest.Mix(2, 1000)
	given := 0
	source := func(name string) (capture.Source, error) {
		return &fakeSource{name: name, frames: mix, given: &given}, nil
	}
	first := New(cfg, Deps{Sources: one(source)})
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "five reports are spooled", func() bool { return first.spool.Stats().Reports >= 5 })
	first.cancel()
	first.working.Wait()
	if err := first.sender.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	spooled := int(first.spool.Stats().Reports)
	first.spool.Abandon()

	node.set(0)
	given = len(mix)
	second := New(cfg, Deps{Sources: one(source)})
	if err := second.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all arrives", func() bool { node.mu.Lock(); defer node.mu.Unlock(); return len(node.reports) > spooled })
	if err := second.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, r := range node.reports[:spooled] {
		if r.Boot != first.boot || r.Sequence != uint64(i+1) || r.Gap != nil {
			t.Errorf("report %d is %+v", i, r.Identity)
		}
	}
	r := node.reports[spooled]
	last := node.reports[spooled-1]
	if r.Boot != second.boot || r.Sequence != 1 || r.Gap == nil || r.Gap.Boot != first.boot || r.Gap.Sequence != last.Sequence || !r.Gap.From.Equal(last.End) || !r.Gap.To.Equal(r.Start) {
		t.Errorf("the first report after the kill is %+v with the gap %+v", r.Identity, r.Gap)
	}
	third := New(cfg, Deps{Sources: one(source)})
	if err := third.open(); err != nil {
		t.Fatal(err)
	}
	if third.writer.Gap != nil {
		t.Errorf("after an ordered end there is the gap %+v", third.writer.Gap)
	}
	third.spool.Abandon()
}

// TestTapDiskFull takes the spool's folder away for a while; no report is lost
// and their order stays.
func TestTapDiskFull(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	cfg := testConfig(t, node.URL)
	cfg.Interfaces = Named("a")
	mix := packettest.Mix(3, 2000)
	given := 0
	tap := New(cfg, Deps{Sources: one(func(name string) (capture.Source, error) {
		return &fakeSource{name: name, frames: mix, given: &given}, nil
	})})
	if err := tap.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cfg.DataDir, "spool")
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(400 * time.Millisecond)
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all arrives", func() bool { by, _ := node.ledgers(t); return by["a"].Received == 2000 })
	if err := tap.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, r := range node.reports {
		if r.Sequence != uint64(i+1) {
			t.Errorf("report %d has the number %d", i, r.Sequence)
		}
	}
}

// TestSpoolNamed: the parsing process works in its data folder, and still names
// the spool as people know it.
func TestSpoolNamed(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	held, err := OpenSpool(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { held.Abandon() })
	if _, err := OpenSpool(cfg, nil); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "the spool "+cfg.DataDir+"/spool is in use") {
		t.Errorf("without a name: %v", err)
	}
	cfg.DataName = "/var/lib/rind-tap"
	if _, err := OpenSpool(cfg, nil); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "the spool /var/lib/rind-tap/spool is in use") {
		t.Errorf("with a name: %v", err)
	}
}

func TestConfigRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*Config){
		"report.interval": func(c *Config) { c.Report.Interval = time.Hour },
		"flow.max_flows":  func(c *Config) { c.Flow.MaxFlows = 0 },
		"spool.max_bytes": func(c *Config) { c.Spool.MaxBytes = 0 },
		"token_file":      func(c *Config) { c.Node.Token, c.Node.TokenFile = "x", "y" },
		"capture.snaplen": func(c *Config) { c.Capture.Snaplen = -1 },

		"flow.timeouts.tcp is 0s: choose between 1s and 24h":            func(c *Config) { c.Flow.Timeouts.TCP = 0 },
		"flow.timeouts.closed":                                          func(c *Config) { c.Flow.Timeouts.Closed = -1 },
		"flow.timeouts.udp":                                             func(c *Config) { c.Flow.Timeouts.UDP = 25 * time.Hour },
		"flow.timeouts.other":                                           func(c *Config) { c.Flow.Timeouts.Other = time.Millisecond },
		"flow.timeouts.active is 5s: choose between 10s":                func(c *Config) { c.Flow.Timeouts.Active = 5 * time.Second },
		"flow.fragments.max_datagrams is 3: choose between 4 and 16384": func(c *Config) { c.Flow.Fragments.MaxDatagrams = 3 },
		"flow.fragments.max_bytes is 256MiB: choose between 64KiB":      func(c *Config) { c.Flow.Fragments.MaxBytes = 256 << 20 },
		"flow.fragments.timeout":                                        func(c *Config) { c.Flow.Fragments.Timeout = time.Hour },
	}
	for key, spoil := range tests {
		cfg := DefaultConfig()
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		spoil(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
	cfg := DefaultConfig()
	cfg.Name = "other"
	if _, err := cfg.ID(token); err == nil {
		t.Error("the name may differ from the token's")
	}
	cfg.Name = "no.name"
	if _, err := cfg.ID(""); err == nil {
		t.Error("a name with a dot is taken")
	}
}

func TestTokenFileIsReadAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	s := &tokenSource{cfg: Node{TokenFile: path}}
	if _, err := s.Token(); err == nil || !strings.Contains(err.Error(), "node.token_file") {
		t.Errorf("without the file: %v", err)
	}
	for i, want := range []string{"one", "two"} {
		if err := os.WriteFile(path, []byte(want+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(time.Duration(i) * time.Minute)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Token(); err != nil || got != want {
			t.Errorf("the token is %q (%v), want %q", got, err, want)
		}
	}
}
