package tap

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/record"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/report/reporttest"
	"github.com/rind-project/rind/internal/network/uplink"
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

// TestManyRecordsAreSplit shows that a report with more records than a node
// takes is spooled in parts that it takes, with none lost.
func TestManyRecordsAreSplit(t *testing.T) {
	t.Parallel()
	spool, err := uplink.OpenSpool(uplink.SpoolConfig{Dir: t.TempDir(), MaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer spool.Abandon()
	w, err := newWriter(writerConfig{ID: "a", Boot: reporttest.Boot(1), Spool: spool, Log: slog.New(slog.DiscardHandler), Metrics: newMetrics(nil)})
	if err != nil {
		t.Fatal(err)
	}
	const each = 15_000
	now := time.Now()
	r := &network.Report{Start: now, End: now}
	for _, k := range record.Kinds() {
		rows := k.Rows(&r.Records)
		rows.Make(each)
		for i := range each {
			*record.At[time.Time](rows.Row(i), &k.Columns[0]) = now
		}
	}
	total := record.Count(&r.Records)
	w.split(r, report.DefaultLimits().Rows*2) // the encoder refuses that many, and it is split further
	arrived := 0
	for i, e := range w.held {
		got, err := report.Decode(e.body, report.DefaultLimits())
		if err != nil || got.Sequence != uint64(i)+1 {
			t.Fatalf("part %d has the sequence %d (%v)", i, e.sequence, err)
		}
		arrived += record.Count(&got.Records)
	}
	if arrived != total || total <= report.DefaultLimits().Rows || w.lost != 0 {
		t.Errorf("%d of %d rows arrived in %d parts, %d are lost", arrived, total, len(w.held), w.lost)
	}
}
