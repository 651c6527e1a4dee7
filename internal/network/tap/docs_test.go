package tap

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/network/capture"
)

// described keeps the names of what is registered.
type described map[string]bool

var name = regexp.MustCompile(`fqName: "([a-z_]+)"`)

// Register implements prometheus.Registerer.
func (d described) Register(c prometheus.Collector) error {
	ch := make(chan *prometheus.Desc, 100)
	c.Describe(ch)
	close(ch)
	for desc := range ch {
		d[name.FindStringSubmatch(desc.String())[1]] = true
	}
	return nil
}

// MustRegister implements prometheus.Registerer.
func (d described) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		_ = d.Register(c)
	}
}

// Unregister implements prometheus.Registerer.
func (d described) Unregister(prometheus.Collector) bool { return true }

// TestMetricsAreDocumented: what a tap registers stands in docs/tap.md by its
// whole name, and no page names a metric that there is not.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	node := newFakeNode(t)
	cfg := testConfig(t, node.URL)
	cfg.Interfaces = Named("a")
	cfg.Quarantine.Dir = t.TempDir()
	have := described{}
	tap := New(cfg, Deps{Metrics: have, Sources: one(func(string) (capture.Source, error) { return &fakeSource{name: "a", given: new(int)}, nil })})
	if err := tap.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer tap.Stop(t.Context())
	if len(have) < 25 {
		t.Fatalf("only %d metrics are registered: %v", len(have), have)
	}
	have["rind_tap_configurations_total"] = true // app/tap reads the configuration again
	page, err := os.ReadFile("../../../docs/tap.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range have {
		if !regexp.MustCompile(name + `\b`).Match(page) {
			t.Errorf("%s is not in docs/tap.md", name)
		}
	}
	pages, err := filepath.Glob("../../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range pages {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range regexp.MustCompile(`rind_tap_[a-z_]+`).FindAllString(string(text), -1) {
			if !have[word] && !have[strings.TrimSuffix(word, "_")] {
				t.Errorf("%s names %s, which there is not", filepath.Base(path), word)
			}
		}
	}
}
