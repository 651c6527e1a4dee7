package store

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

// clocked is a store whose clock is set, and its database.
type clocked struct {
	*Store
	db  *database.DB
	now time.Time
}

func eachClocked(t *testing.T, keep Retention, fn func(t *testing.T, s *clocked)) {
	t.Parallel()
	databasetest.Each(t, Migrations(), func(t *testing.T, db *database.DB) {
		t.Parallel()
		s := &clocked{db: db, now: noon}
		s.Store = New(db, func() time.Time { return s.now }).Keeping(keep)
		fn(t, s)
	})
}

func (s *clocked) put(t *testing.T, reports ...*network.Report) {
	t.Helper()
	if err := s.db.Tx(t.Context(), func(tx *database.Tx) error { return s.InsertAll(t.Context(), tx, reports) }); err != nil {
		t.Fatal(err)
	}
}

func (s *clocked) one(t *testing.T, text string, args ...any) (n int64) {
	t.Helper()
	if err := s.db.QueryRow(t.Context(), text, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return n
}

// TestColumnTypes compares the types that rows are written with to those that
// the tables have.
func TestColumnTypes(t *testing.T) {
	t.Parallel()
	db := databasetest.Open(t, database.PostgreSQL, Migrations())
	for _, w := range append(writers(), writer{part: minuteSums, columns: minuteColumns}) {
		type column struct{ name, kind string }
		all, err := list(t.Context(), db, `SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position`,
			[]any{w.part.table}, func(row scanner) (c column, err error) {
				err = row.Scan(&c.name, &c.kind)
				return c, err
			})
		if err != nil {
			t.Fatal(err)
		}
		types := map[string]database.ColumnType{"bigint": database.Int64, "integer": database.Int32, "smallint": database.Int16, "text": database.String, "bytea": database.Bytes}
		have := map[string]database.ColumnType{}
		for _, c := range all {
			have[c.name] = types[c.kind]
		}
		want := map[string]database.ColumnType{}
		for _, c := range w.columns {
			want[c.Name] = c.Type
		}
		if diff := cmp.Diff(have, want); diff != "" {
			t.Errorf("%s (-table +writer):\n%s", w.part.table, diff)
		}
	}
}

// TestPartitions writes rows of several days, before and after partitions are
// made, and finds each once, in its partition.
func TestPartitions(t *testing.T) {
	eachClocked(t, DefaultRetention(), func(t *testing.T, s *clocked) {
		size := reporttest.Size{Flows: 20, DNS: 20, TLS: 20, Records: 3}
		days := []time.Time{noon.Add(-5 * day), noon.Add(-day), noon, noon.Add(20 * time.Hour)}
		for i, end := range days { // what nobody made partitions for
			s.put(t, report("a", uint64(i+1), end, size))
		}
		s.put(t, report("a", 9, noon.Add(-300*day), size)) // older than anything that is kept
		mustExec(t, s.db, "INSERT INTO partitions (name, parent, from_us, to_us) VALUES ('flows_gone', 'flows', 0, 9000000000000000)")
		for range 2 {
			if _, err := s.MakePartitions(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for i, end := range days {
			s.put(t, report("b", uint64(i+1), end, size))
		}
		for _, p := range parts() {
			if p.kind == "" || p.kind == KindGaps {
				continue
			}
			total := s.one(t, "SELECT COUNT(*) FROM "+p.table)
			rest := s.one(t, "SELECT COUNT(*) FROM "+p.rest())
			all := must(partitions(t.Context(), s.db, p.table, math.MinInt64, math.MaxInt64))(t)
			var within int64
			for i, one := range all {
				n := s.one(t, "SELECT COUNT(*) FROM "+one.Name)
				if got := s.one(t, "SELECT COUNT(*) FROM "+one.Name+" WHERE "+p.column+" >= $1 AND "+p.column+" < $2", one.fromUS, one.toUS); got != n {
					t.Errorf("%d of %d rows of %s lie in its range", got, n, one.Name)
				}
				if i > 0 && one.fromUS < all[i-1].toUS {
					t.Errorf("%s begins within %s", one.Name, all[i-1].Name)
				}
				within += n
			}
			per := rest // of one report
			if per == 0 || total != 9*per || within != 8*per {
				t.Errorf("%s: %d rows, %d in partitions, %d in the rest", p.table, total, within, rest)
			}
		}
		flows := must(s.Flows(t.Context(), FlowQuery{From: noon.Add(-10 * day), To: noon.Add(2 * day), Limit: MaxRows}))(t)
		if len(flows) != 160 || !slices.IsSortedFunc(flows, func(a, b Flow) int { return b.Start.Compare(a.Start) }) {
			t.Errorf("%d flows, or not in order", len(flows))
		}
	})
}

// TestRetentionDrops drops whole partitions, in which no row is younger, and
// says before when.
func TestRetentionDrops(t *testing.T) {
	keep := DefaultRetention()
	keep.Flows, keep.Records, keep.Ledgers, keep.Traffic, keep.Hosts = 3*day, 3*day, 3*day, 3*day, 3*day
	eachClocked(t, keep, func(t *testing.T, s *clocked) {
		size := reporttest.Size{Flows: 10, DNS: 10, TLS: 10, Records: 2}
		for i := range 6 {
			s.now = noon.Add(time.Duration(i) * day)
			if _, err := s.MakePartitions(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.put(t, report("a", uint64(i+1), s.now, size))
		}
		before := must(s.measure(t.Context()))(t)
		for _, table := range before.Tables {
			if table.Kind == "" || table.Kind == KindGaps {
				continue
			}
			if table.Partitions < 6 || table.Next == nil || table.Bytes == 0 || table.Keep != 3*day {
				t.Fatalf("%+v", table)
			}
			if want := noon.Truncate(day).Add(4 * day); !table.Next.At.Equal(want) || table.Next.Size {
				t.Errorf("%s: the next partition goes at %s, want %s", table.Table, table.Next.At, want)
			}
		}
		gone := must(s.Delete(t.Context(), keep))(t)
		for _, p := range parts() {
			if p.kind == "" || p.kind == KindGaps {
				continue
			}
			per := gone[p.table] / 2
			if left := s.one(t, "SELECT COUNT(*) FROM "+p.table); per == 0 || gone[p.table]%2 != 0 || left != 4*per {
				t.Errorf("%s: %d rows went and %d are left", p.table, gone[p.table], left)
			}
		}
		for _, table := range must(s.measure(t.Context()))(t).Tables {
			if table.Next != nil && !table.Next.At.After(s.now) {
				t.Errorf("%s: %s should have gone at %s", table.Table, table.Next.Partition, table.Next.At)
			}
		}
		s.put(t, report("b", 1, s.now, size)) // the view and the parent still serve
	})
}

// TestSizeDrops drops the oldest partitions until the rest fits.
func TestSizeDrops(t *testing.T) {
	eachClocked(t, DefaultRetention(), func(t *testing.T, s *clocked) {
		s.Store = s.Partitioned(Daily)
		for i := range 4 {
			s.now = noon.Add(time.Duration(i) * day)
			if _, err := s.MakePartitions(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.put(t, report("a", uint64(i+1), s.now, reporttest.Size{Flows: 2000, DNS: 10}))
		}
		all := must(s.measure(t.Context()))(t)
		i := slices.IndexFunc(all.Tables, func(t TableStorage) bool { return t.Kind == KindFlows })
		flows := all.Tables[i]
		keep := DefaultRetention()
		keep.Kinds = []Keep{{Kind: KindFlows, MaxBytes: config.Size(flows.Bytes - flows.closed[0].size/2)}}
		if err := keep.Validate(); err != nil {
			t.Fatal(err)
		}
		s.Store = s.Keeping(keep)
		next := must(s.measure(t.Context()))(t).Tables[i].Next
		if next == nil || !next.Size || !next.At.Equal(s.now) || next.Partition != flows.closed[0].Name {
			t.Errorf("what goes next is %+v", next)
		}
		if gone := must(s.Delete(t.Context(), keep))(t); gone["flows"] != 2000 || gone["dns_queries"] != 0 {
			t.Errorf("%v went", gone)
		}
		// Now all kinds together.
		keep.Kinds, keep.MaxBytes = nil, 1
		s.Store = s.Keeping(keep)
		if gone := must(s.Delete(t.Context(), keep))(t); gone["flows"] != 4000 || gone["dns_queries"] != 30 {
			t.Errorf("%v went", gone)
		}
		if left := s.one(t, "SELECT COUNT(*) FROM flows"); left != 2000 {
			t.Errorf("%d flows are left; those of today stay", left)
		}
	})
}

// TestIndexResumes builds the indexes of closed partitions, and anew what was
// broken off.
func TestIndexResumes(t *testing.T) {
	eachClocked(t, DefaultRetention(), func(t *testing.T, s *clocked) {
		if _, err := s.MakePartitions(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.put(t, report("a", 1, noon, reporttest.Size{DNS: 10, Records: 2}))
		if n := must(s.Index(t.Context()))(t); n != 0 {
			t.Fatalf("%d indexes of open partitions", n)
		}
		s.now = noon.Add(30 * day)
		all := must(partitions(t.Context(), s.db, "dns_queries", noon.UnixMicro(), noon.UnixMicro()+1))(t)
		if len(all) != 1 {
			t.Fatalf("%v", all)
		}
		name := indexName(all[0].Name, "name")
		if s.db.Engine() == database.PostgreSQL { // as if the build had been broken off
			mustExec(t, s.db, "CREATE INDEX "+name+" ON "+all[0].Name+" (name)")
			mustExec(t, s.db, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = '"+name+"'::regclass")
		}
		built := must(s.Index(t.Context()))(t)
		if again := must(s.Index(t.Context()))(t); built == 0 || again != 0 {
			t.Errorf("%d indexes were built, and then %d", built, again)
		}
		if s.db.Engine() == database.PostgreSQL {
			if n := s.one(t, "SELECT COUNT(*) FROM pg_indexes WHERE indexname = $1 AND indexdef LIKE '%(name, time_us)' AND schemaname = current_schema()", name); n != 1 {
				t.Error("the index that was broken off is as it was")
			}
		} else if n := s.one(t, "SELECT COUNT(*) FROM sqlite_master WHERE type = 'index' AND name = $1", name); n != 1 {
			t.Error("there is no index")
		}
	})
}

func mustExec(t *testing.T, db *database.DB, text string) {
	t.Helper()
	if _, err := db.Exec(t.Context(), text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// TestConversion migrates a database that a version without partitions filled.
func TestConversion(t *testing.T) {
	t.Parallel()
	for _, e := range databasetest.Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			all := Migrations()
			i := slices.IndexFunc(all, func(m database.Migration) bool { return m.Name == "store/0010_partitions" })
			db := databasetest.Open(t, e, all[:i])
			now := time.Now().UTC().Truncate(time.Microsecond)
			s := New(db, func() time.Time { return now })
			old := reporttest.New(1, network.Identity{Tap: "a", Boot: reporttest.Boot(1), Sequence: 1}, now.Add(-2*day), reporttest.Size{Flows: 30, DNS: 30, TLS: 30, Records: 5})
			err := db.Tx(t.Context(), func(tx *database.Tx) error {
				b := batch{old, rowIDs(old.Identity), kindSums{}, nil}
				for _, w := range writers() {
					if _, err := tx.Append(t.Context(), w.part.table, w.columns, w.count(old), func(i int, r *database.Row) { w.fill(&b, i, r) }); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := database.Migrate(t.Context(), db, all); err != nil {
				t.Fatal(err)
			}
			if _, err := s.MakePartitions(t.Context()); err != nil {
				t.Fatal(err)
			}
			put := func(r *network.Report) {
				if err := db.Tx(t.Context(), func(tx *database.Tx) error { return s.Insert(t.Context(), tx, r) }); err != nil {
					t.Fatal(err)
				}
			}
			put(reporttest.New(2, network.Identity{Tap: "b", Boot: reporttest.Boot(1), Sequence: 1}, now, reporttest.Size{Flows: 30, DNS: 30, TLS: 30, Records: 5}))
			flows := must(s.Flows(t.Context(), FlowQuery{From: now.Add(-3 * day), Limit: MaxRows}))(t)
			got := make([]network.Flow, 0, 30)
			for _, f := range flows[30:] {
				got = append(got, f.Flow)
			}
			compare(t, slices.Clone(old.Flows), got, func(f network.Flow) time.Time { return f.Start })
			for _, info := range must(s.KindInfos(t.Context()))(t) {
				if k := info.Kind.Name; k != KindGaps && (info.Oldest.Before(now.Add(-3*day)) || info.Oldest.After(now.Add(-day)) || info.Newest.Before(now.Add(-time.Hour))) {
					t.Errorf("%s: from %s to %s", k, info.Oldest, info.Newest)
				}
			}
			keep := DefaultRetention()
			keep.Flows, keep.Records = day, day
			if gone := must(s.Delete(t.Context(), keep))(t); gone["flows"] != 30 || gone["record_http"] != 5 {
				t.Errorf("%v went", gone)
			}
		})
	}
}

// TestEveryKindIsKept fails for a kind that has no partitioned table on either
// engine, no writer, no retention, or no size.
func TestEveryKindIsKept(t *testing.T) {
	eachClocked(t, DefaultRetention(), func(t *testing.T, s *clocked) {
		if _, err := s.MakePartitions(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := report("a", 1, noon, reporttest.Size{Flows: 3, DNS: 3, TLS: 3, Records: 3})
		r.Gap = &network.Gap{Boot: "b", From: r.Start.Add(-time.Hour), To: r.Start}
		s.put(t, r)
		sizes := must(s.measure(t.Context()))(t)
		for _, k := range Kinds() {
			if s.retention.Of(k) <= 0 {
				t.Errorf("%s has no retention", k.Name)
			}
			p := partOf(k.Table)
			have := must(partitions(t.Context(), s.db, k.Table, noon.Add(-time.Minute).UnixMicro(), noon.UnixMicro()))(t)
			if len(have) == 0 || s.one(t, "SELECT COUNT(*) FROM "+have[0].Name) == 0 {
				t.Errorf("%s has no partition with rows", k.Name)
			}
			if !slices.ContainsFunc(writers(), func(w writer) bool { return w.part.table == p.table }) {
				t.Errorf("nobody writes %s", k.Name)
			}
			i := slices.IndexFunc(sizes.Tables, func(t TableStorage) bool { return t.Kind == k.Name })
			if i < 0 || sizes.Tables[i].Bytes == 0 || sizes.Tables[i].Next == nil {
				t.Errorf("%s has no size, or nothing says when it goes", k.Name)
			}
			if s.db.Engine() == database.PostgreSQL {
				if n := s.one(t, "SELECT COUNT(*) FROM pg_partitioned_table WHERE partrelid = '"+k.Table+"'::regclass"); n != 1 {
					t.Errorf("%s is not partitioned", k.Table)
				}
			}
		}
	})
}

// TestReadsBlockNoWrites keeps a query open while partitions are made, dropped
// and written.
func TestReadsBlockNoWrites(t *testing.T) {
	keep := DefaultRetention()
	keep.Flows = 2 * day
	eachClocked(t, keep, func(t *testing.T, s *clocked) {
		if _, err := s.MakePartitions(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			s.put(t, report("a", uint64(i+1), noon.Add(time.Duration(i)*time.Second), reporttest.Size{Flows: 100}))
		}
		rows, err := s.db.Query(t.Context(), "SELECT a.id FROM flows a, flows b") // a quarter of a million, of which two are read
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		if !rows.Next() {
			t.Fatal(rows.Err())
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		err = s.db.Tx(ctx, func(tx *database.Tx) error {
			return s.Insert(ctx, tx, report("a", 99, noon, reporttest.Size{Flows: 100}))
		})
		if err != nil {
			t.Errorf("writing beside a reader: %v", err)
		}
		if !rows.Next() || rows.Err() != nil {
			t.Errorf("the reader ended: %v", rows.Err())
		}
	})
}
