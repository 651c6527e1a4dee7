package tap

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/pipeline"
)

// TestReadParsers reads a capture with other parsers: what one that is off
// would find is not there, what the others find is.
func TestReadParsers(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "packet", "http", "testdata", "curl.pcap")
	read := func(p Parsers) (r network.Report) {
		t.Helper()
		var out bytes.Buffer
		if err := ReadFiles(t.Context(), []string{path}, ReadOptions{Out: &out, JSON: true, Parsers: p}); err != nil {
			t.Fatal(err)
		}
		for d := json.NewDecoder(&out); d.More(); {
			var part network.Report
			if err := d.Decode(&part); err != nil {
				t.Fatal(err)
			}
			r = *join([]network.Report{r, part})
		}
		return r
	}
	only := func(names ...string) Parsers {
		t.Helper()
		p, err := OnlyParsers(names...)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	all := len(read(Parsers{}).HTTP)
	if all == 0 {
		t.Fatal("no HTTP in the capture")
	}
	for name, c := range map[string]struct {
		parsers Parsers
		want    int
	}{
		"only http": {only("http"), all}, "dns and http": {only("dns", "http"), all}, "only dns": {only("dns"), 0}, "none": {only("none"), 0},
		"all but http": {Parsers{Disabled: []string{"http"}}, 0},
	} {
		if r := read(c.parsers); len(r.HTTP) != c.want || len(r.Flows) == 0 {
			t.Errorf("%s: %d rows of HTTP, want %d; %d flows", name, len(r.HTTP), c.want, len(r.Flows))
		}
	}
	if _, err := OnlyParsers("dns", "htttp"); err == nil || !strings.Contains(err.Error(), `"htttp" is no parser: choose from arp, `) {
		t.Errorf("%v", err)
	}
	if err := ReadFiles(t.Context(), []string{path}, ReadOptions{Parsers: Parsers{Disabled: []string{"x"}}}); err == nil {
		t.Error("a parser that is not there can be switched off")
	}
}

// TestReadLikeALiveTap: what the configuration says of a pipeline reaches that
// of a file.
func TestReadLikeALiveTap(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "failed")
	o := ReadOptions{Flow: defaultFlow(), Parsers: Parsers{Disabled: []string{"sip"}}, Keep: Quarantine{Dir: dir, MaxBytes: 1 << 20}}
	o.Flow.Timeouts.UDP, o.Flow.Fragments.MaxDatagrams, o.Flow.Seed = time.Second, 8, 3
	var err error
	if o.kept, err = o.Keep.open(); err != nil {
		t.Fatal(err)
	}
	got := o.pipeline("a.pcap")
	want := flow.FragmentLimits{Datagrams: 8, Bytes: 16 << 20, Wait: 30 * time.Second}
	if got.Interface != "a.pcap" || got.Timeouts.UDP != time.Second || got.Fragments != want || got.Seed != 3 || !slices.Equal(got.Settings.Disabled, []string{"sip"}) || got.Quarantine == nil {
		t.Errorf("%+v", got)
	}
	got.Quarantine.Keep("dns", 1, 1, []byte{1, 2, 3}, 3)
	again, err := pipeline.OpenQuarantine(dir, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "dns-*.pcap")); len(files) != 1 || again == nil {
		t.Errorf("kept %v", files)
	}
}
