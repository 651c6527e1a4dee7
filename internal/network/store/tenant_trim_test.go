package store

import (
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

var twoTenants = Owners{DefaultTenant: {"a"}, "acme": {"b"}}

// fill puts a report of each tap on each of so many days, the last of them
// noon's, into daily partitions.
func (s *clocked) fill(t *testing.T, days int, taps ...network.TapID) {
	t.Helper()
	s.Store = s.Partitioned(Daily)
	for i := range days {
		s.now = noon.Add(time.Duration(i+1-days) * day)
		if _, err := s.MakePartitions(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, tap := range taps {
			s.put(t, report(tap, uint64(i+1), s.now, reporttest.Size{Flows: 500, DNS: 10}))
		}
	}
	if due := must(s.Trims(t.Context(), Retention{Tenants: []Tenant{{Tenant: "acme", Keep: time.Hour}}}, twoTenants))(t); len(due) != 0 {
		t.Errorf("%v are to be trimmed before they are summed", due)
	}
	s.maintain(t)
}

func (s *clocked) maintain(t *testing.T) {
	t.Helper()
	if err := s.Maintain(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

// trimAll does what is to be trimmed, and says how many rows went.
func (s *clocked) trimAll(t *testing.T, r Retention) (tasks int, rows int64) {
	t.Helper()
	for _, one := range must(s.Trims(t.Context(), r, twoTenants))(t) {
		tasks++
		rows += must(s.Trim(t.Context(), one, twoTenants))(t)
	}
	return tasks, rows
}

func (s *clocked) flowsOf(t *testing.T, tap string) int64 {
	t.Helper()
	return s.one(t, "SELECT COUNT(*) FROM flows WHERE tap = $1", tap)
}

// TestTrimByAge deletes what one tenant keeps for less from partitions that
// stay for the other, once, and takes it off the counts.
func TestTrimByAge(t *testing.T) {
	keep := DefaultRetention()
	keep.Tenants = []Tenant{{Tenant: "acme", Kinds: []Keep{{Kind: KindFlows, Keep: 2 * day}}}}
	eachClocked(t, keep, func(t *testing.T, s *clocked) {
		if err := keep.Validate(); err != nil {
			t.Fatal(err)
		}
		s.fill(t, 6, "a", "b")
		if _, rows := s.trimAll(t, keep); rows != 3*500 { // days of which the whole is older
			t.Errorf("%d rows went", rows)
		}
		if a, b := s.flowsOf(t, "a"), s.flowsOf(t, "b"); a != 6*500 || b != 3*500 {
			t.Errorf("a has %d flows and b %d", a, b)
		}
		if dns := s.one(t, "SELECT COUNT(*) FROM dns_queries"); dns != 6*2*10 {
			t.Errorf("%d DNS queries are left of a kind without a limit", dns)
		}
		if n := s.one(t, "SELECT CAST(SUM(seen) AS BIGINT) FROM kind_days WHERE kind = $1 AND tap = $2", KindFlows, "b"); n != 3*500 {
			t.Errorf("%d rows are counted", n)
		}
		if n := s.one(t, "SELECT COUNT(*) FROM kind_days WHERE kind = $1 AND tap = $2 AND seen = 0 AND size_bytes <> 0", KindFlows, "b"); n != 0 {
			t.Errorf("%d days without rows take something", n)
		}
		if tasks, rows := s.trimAll(t, keep); tasks != 0 || rows != 0 {
			t.Errorf("%d partitions were trimmed again, of %d rows", tasks, rows)
		}
	})
}

// TestLongestTenantKeepsPartitions drops no partition that one tenant still
// keeps, and deletes from it what the others no longer do.
func TestLongestTenantKeepsPartitions(t *testing.T) {
	keep := DefaultRetention()
	keep.Flows = 2 * day
	keep.Tenants = []Tenant{{Tenant: "acme", Keep: 30 * day}}
	eachClocked(t, keep, func(t *testing.T, s *clocked) {
		s.fill(t, 6, "a", "b")
		if gone := must(s.Delete(t.Context(), keep))(t); gone["flows"] != 0 {
			t.Errorf("%v went", gone)
		}
		s.trimAll(t, keep)
		if a, b := s.flowsOf(t, "a"), s.flowsOf(t, "b"); a != 3*500 || b != 6*500 {
			t.Errorf("a has %d flows and b %d", a, b)
		}
		s.now = s.now.Add(33 * day)
		if gone := must(s.Delete(t.Context(), keep))(t); gone["flows"] != 9*500 {
			t.Errorf("%v went when nobody keeps them", gone)
		}
		if n := s.one(t, "SELECT COUNT(*) FROM trimmed WHERE partition LIKE 'flows_p%'"); n != 0 {
			t.Errorf("%d notes are left of partitions that are gone", n)
		}
	})
}

// TestTrimBySizeEnds deletes the oldest of a tenant until its share fits, and
// no more, however often the sizes are looked at. What is deleted from within a
// table leaves the table as large as it was.
func TestTrimBySizeEnds(t *testing.T) {
	eachClocked(t, DefaultRetention(), func(t *testing.T, s *clocked) {
		const days = 10
		s.fill(t, days, "a", "b")
		var share int64
		for _, u := range must(s.TenantUses(t.Context(), DefaultRetention(), twoTenants))(t) {
			for _, k := range u.Kinds {
				if u.Tenant == "acme" && k.Kind == KindFlows {
					share = k.Bytes
				}
			}
		}
		keep := DefaultRetention()
		keep.Tenants = []Tenant{{Tenant: "acme", Kinds: []Keep{{Kind: KindFlows, MaxBytes: config.Size(share * 75 / 100)}}}}
		if err := keep.Validate(); share == 0 || err != nil {
			t.Fatal(share, err)
		}
		for range days {
			s.now = s.now.Add(2 * storageAge) // sizes are measured anew
			s.trimAll(t, keep)
		}
		if left := s.flowsOf(t, "b"); left != 7*500 {
			t.Errorf("%d flows are left of %d, of which three quarters fit", left, days*500)
		}
		if others := s.flowsOf(t, "a"); others != days*500 {
			t.Errorf("%d flows of the other tenant are left", others)
		}
	})
}

// TestSumsOutliveTrims keeps the sums of a tenant's hosts when its flows were
// trimmed and a late report of another tenant has the hour summed again.
func TestSumsOutliveTrims(t *testing.T) {
	keep := DefaultRetention()
	keep.Tenants = []Tenant{{Tenant: "acme", Keep: day}}
	eachClocked(t, keep, func(t *testing.T, s *clocked) {
		s.Store = s.Partitioned(Daily)
		old := noon.Add(-3 * day)
		s.now = old
		if _, err := s.MakePartitions(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.put(t, few("a", 1, old), few("b", 1, old))
		s.now = noon
		if err := s.Maintain(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		sums := func(table string) int64 {
			column := map[string]string{"host_hours": "bytes_in", "ledger_hours": "received", "traffic_hours": "bytes"}[table]
			return s.one(t, "SELECT CAST(SUM("+column+") AS BIGINT) FROM "+table)
		}
		before := map[string]int64{}
		for _, table := range []string{"host_hours", "ledger_hours", "traffic_hours"} {
			before[table] = sums(table)
		}
		if _, rows := s.trimAll(t, keep); rows == 0 || s.flowsOf(t, "b") != 0 {
			t.Fatalf("%d rows went", rows)
		}
		late := few("a", 2, old)
		late.Flows = late.Flows[:1] // far less than what was trimmed
		s.put(t, late)
		if due := must(s.Due(t.Context()))(t); len(due) == 0 {
			t.Fatal("no hour is due for the late report")
		}
		if err := s.Maintain(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if taps := s.one(t, "SELECT COUNT(DISTINCT tap) FROM ledger_hours"); taps != 2 {
			t.Errorf("ledgers are left of %d taps, of 2", taps)
		}
		for table, was := range before {
			if is := sums(table); is < was {
				t.Errorf("%s: the sums were %d, are %d", table, was, is)
			}
		}
	})
}

// TestTrimFindsLateRows trims a partition again that got rows since, and leaves
// the others alone.
func TestTrimFindsLateRows(t *testing.T) {
	keep := DefaultRetention()
	keep.Tenants = []Tenant{{Tenant: "acme", Kinds: []Keep{{Kind: KindFlows, Keep: 2 * day}}}}
	eachClocked(t, keep, func(t *testing.T, s *clocked) {
		s.fill(t, 6, "a", "b")
		s.trimAll(t, keep)
		s.put(t, report("b", 99, noon.Add(-5*day), reporttest.Size{Flows: 40})) // was on its way when the limit was set
		s.maintain(t)
		if tasks, rows := s.trimAll(t, keep); tasks != 1 || rows != 40 {
			t.Errorf("%d late rows went, of 40, from %d partitions, of 1", rows, tasks)
		}
		if tasks, _ := s.trimAll(t, keep); tasks != 0 {
			t.Errorf("%d partitions were trimmed again", tasks)
		}
	})
}

// TestTenantUsesAreKept answers for a minute what was read once, since every
// view of a page asks, and anew when a tap is somebody else's.
func TestTenantUsesAreKept(t *testing.T) {
	eachClocked(t, DefaultRetention(), func(t *testing.T, s *clocked) {
		s.fill(t, 2, "a", "b")
		flows := func(owners Owners, tenant string) (bytes int64) {
			for _, u := range must(s.TenantUses(t.Context(), DefaultRetention(), owners))(t) {
				for _, k := range u.Kinds {
					if u.Tenant == tenant && k.Kind == KindFlows {
						bytes = k.Bytes
					}
				}
			}
			return bytes
		}
		one, before := flows(Owners{DefaultTenant: {"a", "b"}}, DefaultTenant), flows(twoTenants, "acme")
		if before == 0 || one != before+flows(twoTenants, DefaultTenant) {
			t.Fatalf("b takes %d bytes of %d, and a %d", before, one, flows(twoTenants, DefaultTenant))
		}
		s.put(t, report("b", 9, s.now, reporttest.Size{Flows: 500}))
		if got := flows(twoTenants, "acme"); got != before {
			t.Errorf("%d bytes are told at once, %d before: the counts were read again", got, before)
		}
		if got := flows(Owners{DefaultTenant: {"b"}, "acme": {"a"}}, "acme"); got != before {
			t.Errorf("%d bytes are of another tap, want %d", got, before)
		}
		s.now = s.now.Add(storageAge)
		if got := flows(twoTenants, "acme"); got < before*14/10 || got > before*16/10 {
			t.Errorf("%d bytes a minute later, %d before a half more came", got, before)
		}
	})
}
