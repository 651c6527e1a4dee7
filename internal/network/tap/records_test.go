package tap

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/record"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

func withRecords(seed uint64) *network.Report {
	return reporttest.New(seed, network.Identity{}, time.Now(), reporttest.Size{Flows: 2, DNS: 2, TLS: 2, Records: 3})
}

// TestReadCountsRecords shows that reading a file tells of every kind of
// records, to people and to programs.
func TestReadCountsRecords(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &summary{out: &out}
	if err := s.begin(t.Context(), "a.pcap"); err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(2) {
		if err := s.report(t.Context(), withRecords(seed)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.end(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	j := newJSONSink(ReadOptions{Out: &lines})
	if err := j.report(t.Context(), withRecords(1)); err != nil {
		t.Fatal(err)
	}
	var got struct {
		network.Report
		Rows map[string]int
	}
	if err := json.Unmarshal(lines.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for _, k := range record.Kinds() {
		if !strings.Contains(out.String(), fmt.Sprintf("6 %s", k.Name)) {
			t.Errorf("the summary does not count %s:\n%s", k.Name, out.String())
		}
		if n := k.Rows(&got.Records).Len(); n != 3 || got.Rows[k.Name] != 3 {
			t.Errorf("the JSON has %d rows of %s, and says %d", n, k.Name, got.Rows[k.Name])
		}
	}
	if got.Rows["flows"] != 2 || got.Rows["dns"] != 2 || got.Rows["tls"] != 2 {
		t.Errorf("the JSON says %v", got.Rows)
	}
}

// TestShiftRecords shows that no time of a report stays behind.
func TestShiftRecords(t *testing.T) {
	t.Parallel()
	before, r := withRecords(1), withRecords(1)
	shift(r, time.Hour)
	for _, k := range record.Kinds() {
		for c := range k.Columns {
			column := &k.Columns[c]
			if column.Type != record.Time {
				continue
			}
			was := record.At[time.Time](k.Rows(&before.Records).Row(2), column)
			is := record.At[time.Time](k.Rows(&r.Records).Row(2), column)
			if d := is.Sub(*was); d < time.Hour-time.Minute || d > time.Hour+time.Minute {
				t.Errorf("%s.%s was moved by %s", k.Name, column.Name, d)
			}
		}
	}
}

// TestMergeRecords shows that the records of all pipelines are reported, and
// counted.
func TestMergeRecords(t *testing.T) {
	t.Parallel()
	r := join([]network.Report{*withRecords(1), *withRecords(2)})
	m := newMetrics(nil)
	m.count(r)
	for _, k := range record.Kinds() {
		if n, counted := k.Rows(&r.Records).Len(), testutil.ToFloat64(m.rows.WithLabelValues(k.Name)); n != 6 || counted != 6 {
			t.Errorf("%d rows of %s, counted %v", n, k.Name, counted)
		}
	}
}
