package store

import (
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/record"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

var update = flag.Bool("update", false, "write the golden files")

// TestSchema compares the tables with those of the migration's text. Once it
// has been released it never changes: a column that is added later, or a kind,
// needs a further migration.
func TestSchema(t *testing.T) {
	t.Parallel()
	const golden = "testdata/0005_records.sql"
	if *update {
		if err := os.WriteFile(golden, []byte(recordTables()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), recordTables()); diff != "" {
		t.Errorf("the schema differs (-golden +now); run with -update if it was not released yet:\n%s", diff)
	}
}

// TestRecords reads every kind back in pages, on both engines.
func TestRecords(t *testing.T) {
	each(t, func(t *testing.T, s *Store, put func(...*network.Report)) {
		a := report("a", 1, noon, reporttest.Size{Flows: 1, Records: 23})
		b := report("b", 2, noon.Add(-5*time.Second), reporttest.Size{Records: 4})
		for _, k := range record.Kinds() { // a row with its time alone
			row := k.Rows(&b.Records).Row(0)
			at := *record.At[time.Time](row, &k.Columns[0])
			empty := k.New()
			*record.At[time.Time](empty, &k.Columns[0]) = at
			k.Rows(&b.Records).Set(0, empty)
		}
		put(a, b)
		for _, k := range record.Kinds() {
			var got network.Records
			n := 0
			for q := (RecordQuery{Kind: k.Name, Limit: 10}); ; {
				page := must(s.Records(t.Context(), q))(t)
				if len(page) == 0 {
					break
				}
				for i, r := range page {
					if q.Before = r.Cursor(); i > 0 && q.Before.Time.After(page[i-1].Cursor().Time) {
						t.Fatalf("%s are not from new to old", k.Name)
					}
				}
				rows := k.Rows(&got)
				for _, r := range page {
					rows.Append(r.Row)
				}
				n += len(page)
			}
			var want network.Records
			for _, from := range []*network.Report{a, b} {
				for i := range k.Rows(&from.Records).Len() {
					k.Rows(&want).Append(k.Rows(&from.Records).Row(i))
				}
			}
			if n != 27 {
				t.Errorf("%d rows of %s, want 27", n, k.Name)
			}
			if diff := cmp.Diff(texts(k, &want), texts(k, &got)); diff != "" {
				t.Errorf("the rows of %s differ:\n%s", k.Name, diff)
			}
		}
	})
}

// texts is a set of all rows in JSON.
func texts(k *record.Kind, r *network.Records) map[string]int {
	out := map[string]int{}
	for i := range k.Rows(r).Len() {
		b, _ := json.Marshal(k.Rows(r).Row(i).Pointer())
		out[string(b)]++
	}
	return out
}

// TestRecordFilters asks for each value of each column that can be filtered
// by, and compares with the rows that have it.
func TestRecordFilters(t *testing.T) {
	each(t, func(t *testing.T, s *Store, put func(...*network.Report)) {
		r := report("a", 1, noon, reporttest.Size{Records: 40})
		put(r)
		for _, k := range record.Kinds() {
			rows := k.Rows(&r.Records)
			for _, c := range k.Filters() {
				text := filterText(rows.Row(0), c)
				want := 0
				for i := range rows.Len() {
					if filterText(rows.Row(i), c) == text {
						want++
					}
				}
				got := must(s.Records(t.Context(), RecordQuery{Kind: k.Name, Filters: map[string]string{c.Key: text}}))(t)
				if len(got) != want || want == 0 {
					t.Errorf("%s with %s=%s: %d rows, want %d", k.Name, c.Key, text, len(got), want)
				}
				for _, x := range got {
					if filterText(x.Row, c) != text {
						t.Errorf("%s with %s=%s: a row has %s", k.Name, c.Key, text, filterText(x.Row, c))
					}
				}
			}
		}
	})
}

func filterText(row record.Row, c *record.Column) string {
	if c.Type == record.Bool {
		return map[bool]string{true: "true", false: "false"}[row.Cell(c).Bool()]
	}
	return row.Text(c)
}

func TestRecordFilterForms(t *testing.T) {
	each(t, func(t *testing.T, s *Store, put func(...*network.Report)) {
		at := network.Session{Time: noon.Add(-time.Minute)}
		r := &network.Report{Identity: network.Identity{Tap: "a"}, Start: noon, End: noon}
		for _, host := range []string{"www.example.com", "WWW.Example.com", "example.com", "10%off.example.org", "a_b", "aXb", ""} {
			r.HTTP = append(r.HTTP, network.HTTP{Session: at, Host: host})
		}
		put(r)
		for _, tc := range []struct {
			kind, key, text string
			want            int
			fault           string
		}{
			{"http", "host", "www.example.com", 1, ""},
			{"http", "host", "*.example.com", 2, ""},
			{"http", "host", "www.*", 2, ""},
			{"http", "host", "*", 7, ""},
			{"http", "host", "10%*", 1, ""},
			{"http", "host", "a_*", 1, ""},
			{"http", "host", "*xAmPl*", 4, ""},
			{"http", "host", "' OR 1=1 --\x00", 0, ""},
			{"http", "host", "", 7, ""},
			{"http", "client", "10.0.0.0/8", 0, ""},
			{"http", "client", "ten", 0, "no address"},
			{"http", "status", "ok", 0, "no whole number"},
			{"http", "path", "/", 0, "give one of client, server"},
			{"mail", "starttls", "perhaps", 0, "neither true nor false"},
			{"dhcp", "mac", "02:00", 0, "hardware address"},
			{"nothing", "", "", 0, "rind record list"},
			{"flows", "", "", 0, "/api/v1/flows"},
		} {
			q := RecordQuery{Kind: tc.kind}
			if tc.key != "" {
				q.Filters = map[string]string{tc.key: tc.text}
			}
			got, err := s.Records(t.Context(), q)
			if tc.fault != "" {
				if k := errs.KindOf(err); err == nil || !strings.Contains(err.Error(), tc.fault) || k != errs.Invalid && k != errs.NotFound {
					t.Errorf("%s %s=%q: the error is %v, want %q", tc.kind, tc.key, tc.text, err, tc.fault)
				}
				continue
			}
			if err != nil || len(got) != tc.want {
				t.Errorf("%s %s=%q: %d rows (%v), want %d", tc.kind, tc.key, tc.text, len(got), err, tc.want)
			}
		}
	})
}

// TestLedgersAndGapsAsRecords shows that they are listed like the others.
func TestLedgersAndGapsAsRecords(t *testing.T) {
	each(t, func(t *testing.T, s *Store, put func(...*network.Report)) {
		r := report("a", 1, noon, reporttest.Size{Flows: 3})
		r.Gap = &network.Gap{Boot: "b", Sequence: 7, From: noon.Add(-time.Hour), To: noon.Add(-time.Minute)}
		put(r)
		ledgers := must(s.Records(t.Context(), RecordQuery{Kind: KindLedgers, Filters: map[string]string{"interface": "eth0"}}))(t)
		gaps := must(s.Records(t.Context(), RecordQuery{Kind: KindGaps, Tap: "a"}))(t)
		if len(ledgers) != 1 || len(gaps) != 1 {
			t.Fatalf("%d ledgers and %d gaps", len(ledgers), len(gaps))
		}
		l := ledgers[0].Pointer().(*ledgerRow)
		if l.Received != r.Interfaces[0].Received || l.Bytes != r.Interfaces[0].Bytes || !l.Start.Equal(r.Start) {
			t.Errorf("the ledger is %+v", l)
		}
		if g := gaps[0].Pointer().(*gapRow); g.Sequence != 7 || !g.From.Equal(r.Gap.From) || !g.Time.Equal(r.Gap.To) {
			t.Errorf("the gap is %+v", g)
		}
	})
}

func TestRecordJSON(t *testing.T) {
	t.Parallel()
	k, _ := FindKind("drones")
	row := k.New()
	*record.At[time.Time](row, &k.Columns[0]) = noon
	row.Cell(k.Named("id")).SetString("1581F")
	b, err := json.Marshal(NewRecord(k, 1<<60, "a", row))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"row":"1152921504606846976","tap":"a","time":"2026-03-04T12:00:00Z","mac":"","transport":"","id":"1581F","messages":0}`
	if string(b) != want {
		t.Errorf("the JSON is\n%s, want\n%s", b, want)
	}
}

// TestSumsOfManyCounts: those of many taps are kept for a minute.
func TestSumsOfManyCounts(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ func(...*network.Report)) {
		now := noon
		s.now = func() time.Time { return now }
		add := func(from, to int) {
			t.Helper()
			if _, err := s.db.Exec(t.Context(), `INSERT INTO kind_days (kind, tap, day_us, seen, size_bytes)
				WITH RECURSIVE n(i) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $2) SELECT 'dns', 'tap', i, 2, 3 FROM n`, int64(from), int64(to)); err != nil {
				t.Fatal(err)
			}
		}
		rows := func() int64 {
			t.Helper()
			all := must(s.KindInfos(t.Context()))(t)
			return all[slices.IndexFunc(all, func(i KindInfo) bool { return i.Kind.Name == "dns" })].Rows
		}
		add(1, 10)
		if n := rows(); n != 20 {
			t.Errorf("%d rows of ten counts", n)
		}
		add(11, manyCounts)
		if n := rows(); n != 2*manyCounts {
			t.Errorf("%d rows of many counts: those of few were kept", n)
		}
		add(manyCounts+1, manyCounts+1)
		now = now.Add(storageAge / 2)
		if n := rows(); n != 2*manyCounts {
			t.Errorf("%d rows: many counts were summed anew within a minute", n)
		}
		now = now.Add(storageAge)
		if n := rows(); n != 2*manyCounts+2 {
			t.Errorf("%d rows a minute later", n)
		}
	})
}

// TestKindInfos shows that every kind has a table, rows that are counted, a
// size and a time that it is kept for.
func TestKindInfos(t *testing.T) {
	each(t, func(t *testing.T, s *Store, put func(...*network.Report)) {
		keep := DefaultRetention()
		for _, info := range must(s.KindInfos(t.Context()))(t) {
			if info.Rows != 0 || info.Bytes != 0 || info.LastHour != 0 || !info.Oldest.IsZero() || keep.Of(info.Kind) == 0 {
				t.Errorf("without rows: %+v", info)
			}
		}
		old := report("a", 1, noon.Add(-30*time.Hour), reporttest.Size{Flows: 5, DNS: 5, TLS: 5, Records: 5})
		now := report("b", 2, noon, reporttest.Size{Flows: 2, DNS: 2, TLS: 2, Records: 2})
		for _, r := range []*network.Report{old, now} {
			r.Gap = &network.Gap{Boot: "b", From: r.Start.Add(-time.Hour), To: r.Start}
		}
		put(old, now)
		check := func(oldRows, newRows int64) {
			t.Helper()
			for _, info := range must(s.KindInfos(t.Context()))(t) {
				most, hour := oldRows+newRows, newRows
				if info.Kind.Name == KindLedgers || info.Kind.Name == KindGaps {
					most, hour = min(oldRows, 1)+1, 1
				}
				if info.Rows != most || info.LastHour != hour || info.Bytes < 20*most || info.Bytes > 2000*most {
					t.Errorf("%s: %d rows, %d in the last hour, %d bytes; want %d and %d", info.Kind.Name, info.Rows, info.LastHour, info.Bytes, most, hour)
				}
				if info.Newest.Before(noon.Add(-time.Minute)) || (oldRows == 0) == info.Oldest.Before(noon.Add(-24*time.Hour)) {
					t.Errorf("%s: from %s to %s", info.Kind.Name, info.Oldest, info.Newest)
				}
			}
		}
		check(5, 2)
		// Two days are kept of one kind, two hours of all others.
		keep = Retention{Flows: 2 * time.Hour, Records: 2 * time.Hour, Ledgers: 2 * time.Hour, Traffic: time.Hour, Names: time.Hour, Kinds: []Keep{{Kind: "ntp", Keep: 48 * time.Hour}}}
		gone := must(s.Delete(t.Context(), keep))(t)
		for _, k := range Kinds() {
			if want := map[bool]int64{true: 0, false: 5}[k.Name == "ntp"]; k.Name != KindLedgers && k.Name != KindGaps && gone[k.Table] != want {
				t.Errorf("%d rows of %s went, want %d", gone[k.Table], k.Name, want)
			}
		}
	})
}

func TestRetentionOfKinds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		kinds []Keep
		fault string
	}{
		{[]Keep{{Kind: "http", Keep: 7 * day}, {Kind: "ntp", Keep: day}}, ""},
		{[]Keep{{Kind: "htp", Keep: 7 * day}}, `"htp"`},
		{[]Keep{{Kind: "flows", Keep: 7 * day}}, `"flows"`},
		{[]Keep{{Kind: "http", Keep: day}, {Kind: "http", Keep: day}}, "twice"},
		{[]Keep{{Kind: "http", Keep: time.Minute}}, "at least 1h"},
	} {
		r := DefaultRetention()
		r.Kinds = tc.kinds
		if err := r.Validate(); (err == nil) != (tc.fault == "") || err != nil && !strings.Contains(err.Error(), tc.fault) {
			t.Errorf("%v: %v, want %q", tc.kinds, err, tc.fault)
		}
	}
}
