package store

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

// answers are what the sums are asked for, over ranges that begin and end
// within hours and within minutes.
type answers struct {
	Traffic, Hours []TrafficPoint
	Talkers        []Talker
	Many           []Talker
	Losses         []Loss
}

func (s *clocked) answers(t *testing.T) answers {
	t.Helper()
	from, to := noon.Add(-3*time.Hour-17*time.Minute-13*time.Second), noon.Add(40*time.Minute+7*time.Second)
	return answers{
		Traffic: must(s.TrafficOf(t.Context(), "a", from, to, 10*time.Minute))(t),
		Hours:   must(s.Traffic(t.Context(), noon.Add(-5*time.Hour), to, time.Hour))(t),
		Talkers: must(s.TopTalkers(t.Context(), from, to, topHosts))(t),
		Many:    must(s.TopTalkers(t.Context(), from, to, MaxRows))(t),
		Losses:  must(s.Losses(t.Context(), from, to))(t),
	}
}

// few makes a report of so few hosts that all are among the first.
func few(tap network.TapID, seq uint64, end time.Time) *network.Report {
	r := report(tap, seq, end, reporttest.Size{Flows: 40, DNS: 2})
	for i := range r.Flows {
		r.Flows[i].Source = database.AddrFrom16([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, byte(i % 7)})
		r.Flows[i].Dest = database.AddrFrom16([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, byte(i % 11)})
	}
	return r
}

// TestSumsAgreeWithRows asks the same before anything is summed, after minutes
// are, after hours are, and after late reports; the answers are those that the
// rows give.
func TestSumsAgreeWithRows(t *testing.T) {
	eachClocked(t, DefaultRetention(), func(t *testing.T, s *clocked) {
		seq := uint64(0)
		put := func(at time.Time) {
			for _, tap := range []network.TapID{"a", "b"} {
				seq++
				s.put(t, few(tap, seq, at))
			}
		}
		for at := noon.Add(-4 * time.Hour); at.Before(noon.Add(40 * time.Minute)); at = at.Add(7 * time.Minute) {
			s.now = at.Add(time.Second)
			put(at)
		}
		s.now = noon.Add(41 * time.Minute)
		want := s.answers(t)
		if len(want.Talkers) != 18 || len(want.Losses) != 2 {
			t.Fatalf("%d talkers, %d losses", len(want.Talkers), len(want.Losses))
		}
		same := func(when string) {
			t.Helper()
			if diff := cmp.Diff(want, s.answers(t), same); diff != "" {
				t.Errorf("%s (-rows +sums):\n%.2000s", when, diff)
			}
		}
		if n := must(s.RollMinutes(t.Context(), nil))(t); n < 39 {
			t.Errorf("%d minutes were summed", n)
		}
		same("after minutes were summed")
		if err := s.Maintain(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if due := must(s.Due(t.Context()))(t); len(due) != 0 {
			t.Errorf("%v are due after all was summed", due)
		}
		done := must(s.summed(t.Context(), span{noon.Add(-3 * time.Hour).UnixMicro(), noon.UnixMicro()}))(t)
		if len(done.pieces) != 1 || done.pieces[0].sum != byHour {
			t.Fatalf("the hours are read from %+v", done)
		}
		same("after hours were summed")

		put(noon.Add(-2*time.Hour + 30*time.Minute)) // late for its hour
		put(noon.Add(10 * time.Minute))              // late for its minute
		put(noon.Add(-10 * time.Hour))               // of two hours before all others
		if due := must(s.Due(t.Context()))(t); len(due) != 3 {
			t.Errorf("%v are due for late reports", due)
		}
		mustExec(t, s.db, "CREATE TABLE keep_rolled AS SELECT * FROM rolled")
		mustExec(t, s.db, "DELETE FROM rolled") // nothing counts as summed: the rows answer
		want = s.answers(t)
		mustExec(t, s.db, "INSERT INTO rolled SELECT * FROM keep_rolled")
		if err := s.Maintain(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		same("after late reports")
		if n := s.one(t, "SELECT COUNT(*) FROM dirty_minutes"); n != 0 {
			t.Errorf("%d marks are left", n)
		}
	})
}

// TestRollupIsFenced leaves everything as it was when the fence refuses, and
// when an hour has not ended.
func TestRollupIsFenced(t *testing.T) {
	eachClocked(t, DefaultRetention(), func(t *testing.T, s *clocked) {
		s.put(t, few("a", 1, noon.Add(-90*time.Minute)))
		refused := errs.New(errs.Conflict, "the lease has gone")
		fence := func(context.Context, *database.Tx) error { return refused }
		for name, err := range map[string]error{
			"an hour": s.Rollup(t.Context(), noon.Add(-2*time.Hour), fence),
			"all":     s.Maintain(t.Context(), fence),
		} {
			if errs.KindOf(err) != errs.Conflict {
				t.Errorf("%s without the lease: %v", name, err)
			}
		}
		if err := s.Rollup(t.Context(), noon, nil); err == nil {
			t.Error("an hour that has not ended is summed")
		}
		if n := s.one(t, "SELECT (SELECT COUNT(*) FROM rolled) + (SELECT COUNT(*) FROM host_hours)"); n != 0 {
			t.Errorf("%d sums were written", n)
		}
		if n := s.one(t, "SELECT COUNT(*) FROM dirty_minutes"); n == 0 {
			t.Error("the marks are gone")
		}
	})
}

// TestSumsOutliveFlows keeps the sums of hours whose flows were dropped, even
// when a late report comes.
func TestSumsOutliveFlows(t *testing.T) {
	keep := DefaultRetention()
	eachClocked(t, keep, func(t *testing.T, s *clocked) {
		s.Store = s.Partitioned(Daily)
		old := noon.Add(-3 * day)
		s.now = old
		if _, err := s.MakePartitions(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.put(t, few("a", 1, old))
		s.now = noon
		if err := s.Maintain(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		before := s.one(t, "SELECT CAST(SUM(bytes_in) AS BIGINT) FROM host_hours")
		short := keep
		short.Flows = day
		if gone := must(s.Delete(t.Context(), short))(t); gone["flows"] != 40 {
			t.Fatalf("%v went", gone)
		}
		s.put(t, few("a", 2, old))
		if err := s.Maintain(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if after := s.one(t, "SELECT CAST(SUM(bytes_in) AS BIGINT) FROM host_hours"); after != before {
			t.Errorf("the sums of the hosts were %d, are %d", before, after)
		}
	})
}

// TestLateRowsAreSummedAtAPace sums what has ended at once, and again what late
// rows have added to, first at once, and then once in a minute: minutes and
// hours alike. In the end every row is in the sums.
func TestLateRowsAreSummedAtAPace(t *testing.T) {
	eachClocked(t, DefaultRetention(), func(t *testing.T, s *clocked) {
		seq := uint64(0)
		put := func(at time.Time) {
			seq++
			s.put(t, few("a", seq, at))
		}
		sum := func() {
			t.Helper()
			if err := s.Sum(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
		// The flows in the sums of the hour before last, of a minute of this hour, and of the last minute.
		summed := func() [3]int64 {
			t.Helper()
			one := func(query string, from, to time.Time) int64 {
				return s.one(t, "SELECT CAST(COALESCE(SUM(flows), 0) AS BIGINT) FROM "+query, from.UnixMicro(), to.UnixMicro())
			}
			const minutes = "traffic_totals WHERE minute_us >= $1 AND minute_us < $2"
			return [3]int64{one("traffic_hours WHERE hour_us >= $1 AND hour_us < $2", noon.Add(-2*time.Hour), noon.Add(-time.Hour)),
				one(minutes, noon, noon.Add(10*time.Minute)), one(minutes, noon.Add(10*time.Minute), s.now)}
		}
		old, minute := noon.Add(-90*time.Minute), noon.Add(5*time.Minute+30*time.Second)
		s.now = old.Add(time.Second)
		put(old)
		s.now = minute.Add(time.Second)
		put(minute)
		s.now = noon.Add(12 * time.Minute)
		sum()
		want := func(when string, hour, minute, latest int64) {
			t.Helper()
			if got := summed(); got != [3]int64{hour, minute, latest} {
				t.Errorf("%s: %d flows are in the sums, want %d", when, got, [3]int64{hour, minute, latest})
			}
		}
		want("what has ended", 40, 40, 0)

		put(old)
		put(minute)
		sum()
		want("the first late rows", 80, 80, 0)
		put(old)
		put(minute)
		put(noon.Add(12*time.Minute + 30*time.Second)) // of a minute that has not ended
		for range 4 {
			s.now = s.now.Add(10 * time.Second)
			sum()
			want("the next ones, within a minute", 80, 80, 0)
		}
		s.now = s.now.Add(lateEvery - 40*time.Second - time.Second)
		sum()
		want("a moment before it is over", 80, 80, 0)
		s.now = s.now.Add(time.Second)
		sum()
		want("a minute later", 120, 120, 0)
		put(minute)
		s.now = s.now.Add(30 * time.Second) // the minute has ended: it does not wait
		sum()
		want("what has ended, while late rows wait", 120, 120, 40)
		s.now = s.now.Add(lateEvery)
		sum()
		want("in the end", 120, 160, 40)
		if n := s.one(t, "SELECT COUNT(*) FROM dirty_minutes"); n != 0 {
			t.Errorf("%d marks are left", n)
		}
	})
}
