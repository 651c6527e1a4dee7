package tap

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/packet/packettest"
)

// lines gives each interface the frames of a mix, once for all times that it
// is opened, and notes how it was opened.
type lines struct {
	mu     sync.Mutex
	frames []packettest.Timed
	given  map[string]*int
	opened map[string][]Capture
}

func (l *lines) open(name string, cfg Capture) ([]capture.Source, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if strings.HasPrefix(name, "none") {
		return nil, errors.New("no such device")
	}
	if l.given[name] == nil {
		l.given[name] = new(int)
	}
	l.opened[name] = append(l.opened[name], cfg)
	return []capture.Source{&fakeSource{name: name, frames: l.frames, given: l.given[name]}}, nil
}

func (l *lines) times(name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.opened[name])
}

// TestApply changes the configuration of a tap that runs. What goes on is not
// opened anew, and no packet is lost or counted twice.
func TestApply(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	l := &lines{frames: packettest.Mix(1, 4000), given: map[string]*int{}, opened: map[string][]Capture{}}
	cfg := testConfig(t, node.URL)
	cfg.Interfaces = Named("a", "b", "c")
	tap := New(cfg, Deps{Sources: l.open, Metrics: prometheus.NewRegistry()})
	if _, err := tap.Apply(t.Context(), cfg); err == nil {
		t.Error("a tap that does not run takes a configuration")
	}
	if err := tap.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all are captured", func() bool { return l.times("a") == 1 && l.times("b") == 1 && l.times("c") == 1 })
	text := "tcp"
	next := cfg
	next.Interfaces = []Interface{{Name: "a"}, {Name: "b", Filter: &text}, {Name: "d"}, {Name: "none0"}}
	next.Report.Interval, next.Parsers.Disabled, next.Spool.MaxBytes = 150*time.Millisecond, []string{"dns"}, 4<<20
	next.Metrics.Listen, next.DataDir = "127.0.0.1:1", "/elsewhere"
	change, err := tap.Apply(t.Context(), next)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"interfaces", "spool", "report", "parsers"}; !slices.Equal(change.Applied, want) {
		t.Errorf("applied: %v, want %v", change.Applied, want)
	}
	if want := []string{"data_dir", "metrics.listen"}; !slices.Equal(change.Restart, want) {
		t.Errorf("for a restart: %v, want %v", change.Restart, want)
	}
	eventually(t, "b is opened again, and d", func() bool { return l.times("b") == 2 && l.times("d") == 1 })
	if l.times("a") != 1 || l.opened["b"][1].Filter != "tcp" {
		t.Errorf("a was opened %d times, b with %+v", l.times("a"), l.opened["b"])
	}
	if err := tap.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "none0") || strings.Contains(err.Error(), "interface c") {
		t.Errorf("the check says %v", err)
	}
	refused(t, tap, next)
	eventually(t, "everything is captured", func() bool {
		by, _ := node.ledgers(t)
		return by["d"].Received == 4000 && by["b"].Received == 4000 && by["a"].Received == 4000
	})
	s := tap.Status()
	if len(s.Interfaces) != 4 || s.Interval != 150*time.Millisecond || s.Spool.MaxBytes != 4<<20 {
		t.Errorf("the status is %+v", s)
	}
	if err := tap.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	by, _ := node.ledgers(t)
	for name, given := range l.given {
		if got := by[name].Received; got != uint64(*given) {
			t.Errorf("%s: %d packets are in the ledger, %d were given", name, got, *given)
		}
	}
	names := map[string]bool{}
	for i, r := range node.reports {
		if i > 0 && (r.Sequence != node.reports[i-1].Sequence+1 || r.Start.Before(node.reports[i-1].End)) {
			t.Errorf("report %d does not follow the one before", r.Sequence)
		}
		clear(names)
		for _, l := range r.Interfaces {
			if names[l.Interface] {
				t.Errorf("report %d has two ledgers of %s", r.Sequence, l.Interface)
			}
			names[l.Interface] = true
		}
	}
}

// refused gives the tap configurations that it cannot take. All stays as it was.
func refused(t *testing.T, tap *Tap, cfg Config) {
	t.Helper()
	before := tap.Status()
	for want, break_ := range map[string]func(*Config){
		"report.interval": func(c *Config) { c.Report.Interval = time.Hour },
		"node.urls":       func(c *Config) { c.Node.URLs = []string{"nowhere"} },
		"ca_file":         func(c *Config) { c.Node.URLs, c.Node.CAFile = []string{"https://one:1"}, "/nowhere/ca.pem" },
		"node.token_file": func(c *Config) { c.Node.Token, c.Node.TokenFile = "", "/nowhere/token" },
		"of tap \"t2\"":   func(c *Config) { c.Node.Token = network.TokenPrefix + "t2_secret" },
	} {
		bad := cfg
		bad.Interfaces = Named("z")
		break_(&bad)
		if _, err := tap.Apply(t.Context(), bad); err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(want, "ca_file")) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if after := tap.Status(); len(after.Interfaces) != len(before.Interfaces) || after.Interval != before.Interval || !slices.Equal(after.Delivery.Nodes, before.Delivery.Nodes) {
		t.Errorf("after what was refused the status is %+v", after)
	}
}

// TestApplyNode turns a tap to another node while it runs, away from all, and
// to one again.
func TestApplyNode(t *testing.T) {
	t.Parallel()
	one, two := newFakeNode(t), newFakeNode(t)
	cfg := testConfig(t) // no node
	tap := New(cfg, Deps{})
	if err := tap.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	turn := func(urls ...string) {
		t.Helper()
		cfg.Node.URLs = urls
		if _, err := tap.Apply(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	count := func(n *fakeNode) int {
		n.mu.Lock()
		defer n.mu.Unlock()
		return len(n.reports)
	}
	eventually(t, "reports wait", func() bool { return tap.Status().Spool.Reports > 1 })
	turn(one.URL)
	eventually(t, "the first node has them", func() bool { return count(one) > 2 })
	turn()
	eventually(t, "reports wait again", func() bool { return tap.Status().Spool.Reports > 1 })
	turn(two.URL)
	eventually(t, "the second node has them", func() bool { return count(two) > 2 })
	if err := tap.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := append(slices.Clone(one.reports), two.reports...)
	for i, r := range all {
		if r.Sequence != uint64(i+1) {
			t.Fatalf("report %d comes as number %d", r.Sequence, i+1)
		}
	}
}
