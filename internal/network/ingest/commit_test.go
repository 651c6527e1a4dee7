package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

// hold keeps every transaction of the ingest waiting until it is released.
func (r *rig) hold(t *testing.T) (release func()) {
	t.Helper()
	held, let, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- r.db.Tx(context.Background(), func(tx *database.Tx) error {
			if tx.Engine() == database.PostgreSQL { // a transaction of SQLite has the lock anyway
				if _, err := tx.Exec(context.Background(), "LOCK TABLE taps IN ACCESS EXCLUSIVE MODE"); err != nil {
					return err
				}
			}
			close(held)
			<-let
			return nil
		})
	}()
	<-held
	release = sync.OnceFunc(func() {
		close(let)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(release)
	return release
}

// knows lets a node look up the tap's token, before its table is locked.
func (r *rig) knows(t *testing.T, s *Service) {
	t.Helper()
	if _, _, err := s.tokens.authenticate(t.Context(), r.token); err != nil {
		t.Fatal(err)
	}
}

// until polls.
func until(t *testing.T, what string, true func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !true(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// gathered commits reports of many taps that all wait for the same
// transaction, and returns the answers.
func (r *rig) gathered(t *testing.T, s *Service, reports []*network.Report) []outcome {
	t.Helper()
	release := r.hold(t)
	out := make([]outcome, len(reports))
	var all sync.WaitGroup
	for i, rep := range reports {
		ticket := s.queue.admit(rep.Tap)
		if ticket == nil {
			t.Fatal("there is no room")
		}
		all.Go(func() {
			defer ticket.release()
			it := received(rep)
			out[i] = s.await(context.Background(), ticket, it, nil)
		})
		// The first is taken by the writer at once, the others wait behind it, in
		// this order.
		until(t, "a report waits", func() bool { return waits(s, i) })
	}
	release()
	all.Wait()
	return out
}

// received is a report that arrived.
func received(r *network.Report) report.Received { return report.Received{Report: r} }

// waits reports whether a writer is at work, and so many reports wait for it.
func waits(s *Service, reports int) bool {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	return s.queue.writers == 1 && s.queue.waiting == reports
}

func (r *rig) tap(t *testing.T, name network.TapID) {
	t.Helper()
	if _, err := r.svc.AddTap(t.Context(), string(name), 0); err != nil {
		t.Fatal(err)
	}
}

func transactions(t *testing.T, s *Service) (n uint64, reports float64) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(s.metrics.groupReports)
	all, err := reg.Gather()
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	h := all[0].GetMetric()[0].GetHistogram()
	return h.GetSampleCount(), h.GetSampleSum()
}

// TestGroupCommit gathers reports of forty taps, some of them twice, some of
// them committed before, one of a tap that was revoked: two transactions hold
// them all, and each has its own answer.
func TestGroupCommit(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		s := r.instance(Config{Writers: 1})
		if fresh, err := s.Commit(t.Context(), r.report("a", 1)); !fresh || err != nil {
			t.Fatal(fresh, err)
		}
		var reports []*network.Report
		var want []string
		add := func(tap network.TapID, sequence uint64, answer string) {
			reports, want = append(reports, r.report(tap, sequence)), append(want, answer)
		}
		add("a", 2, "fresh")
		for i := range 40 {
			name := network.TapID("t" + string(rune('a'+i/26)) + string(rune('a'+i%26)))
			r.tap(t, name)
			add(name, 7, "fresh")
		}
		r.tap(t, "gone")
		if err := r.svc.RevokeTap(t.Context(), "gone"); err != nil {
			t.Fatal(err)
		}
		add("gone", 1, "refused")
		add("a", 1, "duplicate")
		add("taa", 7, "duplicate")
		add("nobody", 1, "refused")
		add("taa", 8, "fresh")
		before := r.counts(t)
		var got []string
		for _, out := range r.gathered(t, s, reports) {
			switch {
			case out.refused != nil && out.refused.status == http.StatusForbidden:
				got = append(got, "refused")
			case out.refused != nil:
				got = append(got, out.refused.err.Error())
			case out.fresh:
				got = append(got, "fresh")
			default:
				got = append(got, "duplicate")
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
		after := r.counts(t)
		if n := after["reports"] - before["reports"]; n != 42 {
			t.Errorf("%d identities, want 42", n)
		}
		if n := after["flows"] - before["flows"]; n != 42*60 {
			t.Errorf("%d flows, want %d", n, 42*60)
		}
		// That of before, that which the writer took at once, and the rest.
		if n, sum := transactions(t, s); n != 3 || sum != float64(1+len(reports)) {
			t.Errorf("%d transactions with %v reports, want 3 with %d", n, sum, 1+len(reports))
		}
		taps, err := s.Taps(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, tap := range taps {
			if tap.Name == "taa" && (tap.Reports != 2 || tap.LastEnd == nil || tap.Health.Version != "v1.2.3" || tap.Shared != nil) {
				t.Errorf("tap taa is %+v", tap)
			}
		}
	})
}

// forbid makes the database refuse reports of one sequence number.
func (r *rig) forbid(t *testing.T) {
	t.Helper()
	sql := `ALTER TABLE reports ADD CONSTRAINT no_666 CHECK (sequence <> 666)`
	if r.db.Engine() == database.SQLite {
		sql = `CREATE TRIGGER no_666 BEFORE INSERT ON reports WHEN NEW.sequence = 666 BEGIN SELECT RAISE(ABORT, 'no 666'); END`
	}
	if _, err := r.db.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// TestBadReportStandsAlone gathers twenty reports, of which the database
// refuses two: these are refused for good, the others committed.
func TestBadReportStandsAlone(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.forbid(t)
		s := r.instance(Config{Writers: 1})
		var reports []*network.Report
		for i := range 20 {
			name := network.TapID("t" + string(rune('a'+i)))
			r.tap(t, name)
			sequence := uint64(1)
			if i == 5 || i == 13 {
				sequence = 666
			}
			reports = append(reports, r.report(name, sequence))
		}
		for i, out := range r.gathered(t, s, reports) {
			bad := i == 5 || i == 13
			switch {
			case !bad && (out.refused != nil || !out.fresh):
				t.Errorf("report %d, a good one: %+v", i, out)
			case bad && (out.refused == nil || out.refused.status != 422 || out.refused.result != unstorable):
				t.Errorf("report %d, a bad one: %+v", i, out.refused)
			}
		}
		if n := r.counts(t); n["reports"] != 18 || n["flows"] != 18*60 {
			t.Errorf("rows are %v", n)
		}
		if n := testutil.ToFloat64(s.metrics.halved); n < 5 || n > 10 {
			t.Errorf("groups were halved %v times", n)
		}
		if n := s.queue.load(); n.Bytes != 0 || n.Requests != 0 {
			t.Errorf("afterwards %+v", n)
		}
	})
}

// TestTroubleIsNotHalved shows that a group that fails for the database's sake
// is not tried in halves: each report is answered 503 and comes again.
func TestTroubleIsNotHalved(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		s := r.instance(Config{Writers: 1})
		var reports []*network.Report
		for i := range 8 {
			name := network.TapID("t" + string(rune('a'+i)))
			r.tap(t, name)
			reports = append(reports, r.report(name, 1))
		}
		if _, err := r.db.Exec(t.Context(), "ALTER TABLE taps RENAME COLUMN health TO away"); err != nil {
			t.Fatal(err)
		}
		for i, out := range r.gathered(t, s, reports) {
			if out.refused == nil || out.refused.status != 503 {
				t.Errorf("report %d: %+v", i, out)
			}
		}
		if n := testutil.ToFloat64(s.metrics.halved); n != 0 {
			t.Errorf("the group was halved %v times", n)
		}
		if _, err := r.db.Exec(t.Context(), "ALTER TABLE taps RENAME COLUMN away TO health"); err != nil {
			t.Fatal(err)
		}
		for _, rep := range reports {
			if fresh, err := s.Commit(t.Context(), rep); !fresh || err != nil {
				t.Error(fresh, err)
			}
		}
	})
}

// TestGoneTapIsNotCommitted shows that a report whose tap has gone does not
// take the database's time: its retry will.
func TestGoneTapIsNotCommitted(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		s := r.instance(Config{Writers: 1})
		r.knows(t, s)
		release := r.hold(t)
		ctx, leave := context.WithCancel(t.Context())
		codes := make(chan int, 2)
		for n, q := range []*http.Request{
			request(r.token, bytes.NewReader(encode(t, r.report("a", 1)))),
			request(r.token, bytes.NewReader(encode(t, r.report("a", 2)))).WithContext(ctx),
		} {
			go func() {
				code, _ := post(t, s, q)
				codes <- code
			}()
			until(t, "it is taken", func() bool { return waits(s, n) })
		}
		leave()
		release()
		if a, b := <-codes, <-codes; a+b != 200+503 {
			t.Errorf("answered %d and %d", a, b)
		}
		if n := r.counts(t)["reports"]; n != 1 {
			t.Errorf("%d reports, want that whose tap waited", n)
		}
		if n := testutil.ToFloat64(s.metrics.reports.WithLabelValues(gone)); n != 1 {
			t.Errorf("%v are counted as gone", n)
		}
	})
}

// TestStopAnswers shows that what was taken is committed and answered before
// Stop returns, and nothing new is taken meanwhile.
func TestStopAnswers(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		s, late := r.instance(Config{}), r.instance(Config{CommitTimeout: time.Minute})
		r.knows(t, s)
		r.knows(t, late)
		release := r.hold(t)
		first := make(chan int, 1)
		go func() {
			status, _ := post(t, s, request(r.token, bytes.NewReader(encode(t, r.report("a", 1)))))
			first <- status
		}()
		until(t, "a report is taken", func() bool { return waits(s, 0) })
		stopped := make(chan error, 1)
		go func() { stopped <- s.Stop(t.Context()) }()
		until(t, "it stops", s.stopping.Load)
		if status, text := post(t, s, request(r.token, unread{t})); status != 503 || !strings.Contains(text, "another") {
			t.Errorf("while it stops a report is answered %d %s", status, text)
		}
		release()
		if status := <-first; status != 200 {
			t.Errorf("that which was taken is answered %d", status)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		release = r.hold(t)
		go func() {
			status, _ := post(t, late, request(r.token, bytes.NewReader(encode(t, r.report("a", 2)))))
			first <- status
		}()
		until(t, "a report is taken", func() bool { return waits(late, 0) })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := late.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a stop that may not wait: %v", err)
		}
		release()
		if status := <-first; status != 503 && status != 200 {
			t.Errorf("it is answered %d", status)
		}
	})
}

// TestRotatedTokenIsRefusedEverywhere shows that a node that remembers the old
// token refuses it in the transaction.
func TestRotatedTokenIsRefusedEverywhere(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		elsewhere := r.instance(Config{})
		send := func(token string, sequence uint64) int {
			status, _ := post(t, elsewhere, request(token, bytes.NewReader(encode(t, r.report("a", sequence)))))
			return status
		}
		if status := send(r.token, 1); status != 200 {
			t.Fatal(status)
		}
		fresh, err := r.svc.RotateTap(t.Context(), "a", 0)
		if err != nil {
			t.Fatal(err)
		}
		if first, second := send(r.token, 2), send(r.token, 2); first != 401 || second != 401 {
			t.Errorf("the old token is answered %d and %d", first, second)
		}
		if status := send(fresh, 2); status != 200 {
			t.Errorf("the new one is answered %d", status)
		}
		if n := r.counts(t)["reports"]; n != 2 {
			t.Errorf("%d reports", n)
		}
	})
}

// TestSharedToken lets boots of one tap report in orders that are well, and in
// one that is not.
func TestSharedToken(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		sequence := uint64(0)
		play := func(boots ...string) {
			t.Helper()
			for _, boot := range boots {
				sequence++
				rep := r.report("a", sequence)
				rep.Boot = boot
				if fresh, err := r.svc.Commit(t.Context(), rep); !fresh || err != nil {
					t.Fatal(fresh, err)
				}
				r.now = r.now.Add(10 * time.Second)
			}
		}
		shared := func() *time.Time {
			t.Helper()
			taps, err := r.svc.Taps(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return taps[0].Shared
		}
		a, b, c, d := reporttest.Boot(1), reporttest.Boot(2), reporttest.Boot(3), reporttest.Boot(4)
		file := a[:14] + "8" + a[15:]
		play(a, a, b, b, c, c)             // starts again
		play(c, file, c, file, c, file, c) // reads a file meanwhile
		play(d, c, d, d)                   // one report is late
		r.now = r.now.Add(sharedWithin)
		if at := shared(); at != nil || testutil.ToFloat64(r.svc.metrics.shared) != 0 {
			t.Errorf("a tap by itself is said to share its token at %s", at)
		}
		play(d, c, d, c, d)
		if at := shared(); at == nil || testutil.ToFloat64(r.svc.metrics.shared) == 0 {
			t.Error("two taps with one token are not noticed")
		}
		r.now = r.now.Add(sharedShown)
		if at := shared(); at != nil {
			t.Errorf("an hour later it is still said: %s", at)
		}
		// In one transaction.
		sequence = 1000
		var reports []*network.Report
		for _, boot := range []string{a, b, a, b, a, b} {
			sequence++
			rep := r.report("a", sequence)
			rep.Boot = boot
			reports = append(reports, rep)
		}
		for _, out := range r.gathered(t, r.instance(Config{Writers: 1}), reports) {
			if !out.fresh {
				t.Error(out)
			}
		}
		if shared() == nil {
			t.Error("two taps in one group are not noticed")
		}
	})
}

// TestDiskFull lets a database find no room for a report: it is answered 503 with
// the reason, nothing of it is there, and it is taken when there is room again.
// A bound of SQLite's own stands for its full disk. PostgreSQL gets its tables
// on a small file system, which something else fills.
func TestDiskFull(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		fill, free := fullSQLite(t, r)
		if r.db.Engine() == database.PostgreSQL {
			fill, free = fullPostgres(t, r)
		}
		rep := reporttest.New(1, network.Identity{Tap: "a", Boot: reporttest.Boot(1), Sequence: 1}, r.now, reporttest.Size{Flows: 5000})
		before := r.counts(t)
		fill()
		for range 2 {
			if status, words := post(t, r.svc, request(r.token, bytes.NewReader(encode(t, rep)))); status != 503 || !strings.Contains(words, "disk is full") {
				t.Errorf("without room it is answered %d %s", status, words)
			}
		}
		if diff := cmp.Diff(before, r.counts(t)); diff != "" {
			t.Errorf("rows (-before +after):\n%s", diff)
		}
		if got := testutil.ToFloat64(r.svc.metrics.reports.WithLabelValues(full)); got != 2 {
			t.Errorf("%v reports are counted as refused for want of room, want 2", got)
		}
		free()
		for _, want := range []string{committed, duplicate} {
			if status, words := post(t, r.svc, request(r.token, bytes.NewReader(encode(t, rep)))); status != 200 || words != want {
				t.Errorf("with room it is answered %d %s, want %s", status, words, want)
			}
		}
		if got := r.counts(t); got["flows"] != 5000 || got["reports"] != 1 {
			t.Errorf("with room there are %d flows of %d reports", got["flows"], got["reports"])
		}
	})
}

func fullSQLite(t *testing.T, r *rig) (fill, free func()) {
	room := func(pages int64) {
		t.Helper()
		if _, err := r.db.Exec(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		var pages int64
		if err := r.db.QueryRow(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
			t.Fatal(err)
		}
		room(pages + 4)
	}, func() { room(1 << 30) }
}

// fullPostgres puts the table of flows on a file system of its own.
func fullPostgres(t *testing.T, r *rig) (fill, free func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: a small file system needs root")
	}
	var home string
	if err := r.db.QueryRow(t.Context(), "SELECT current_setting('data_directory')").Scan(&home); err != nil {
		t.Fatal(err)
	}
	owner, err := os.Stat(home)
	if err != nil {
		t.Skipf("skipped: the PostgreSQL of the tests is not on this machine: %v", err)
	}
	as, ok := owner.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("nobody owns the database's folder")
	}
	small, err := os.MkdirTemp("/var/tmp", "rind-full-") // PostgreSQL's user must get there
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=16m,mode=0700,uid=%d,gid=%d", as.Uid, as.Gid), "rind-full", small).CombinedOutput(); err != nil {
		_ = os.Remove(small)
		t.Skipf("skipped: this machine does not let root mount: %s", out)
	}
	if err := os.Chmod(small, 0o755); err != nil { // #nosec G302 -- only its owner writes
		t.Fatal(err)
	}
	space := strings.ReplaceAll(filepath.Base(small), "-", "_")
	do := func(text string) {
		t.Helper()
		if _, err := r.db.Exec(context.WithoutCancel(t.Context()), text); err != nil {
			t.Error(err)
		}
	}
	do("CREATE TABLESPACE " + space + " LOCATION '" + small + "'")
	t.Cleanup(func() {
		do("ALTER TABLE flows_rest SET TABLESPACE pg_default")
		do("DROP TABLESPACE " + space)
		if out, err := exec.Command("umount", small).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
		_ = os.Remove(small)
	})
	do("ALTER TABLE flows_rest SET TABLESPACE " + space)
	ballast := filepath.Join(small, "ballast")
	return func() {
			// What was reserved for the table's last page is a few kilobytes.
			if out, err := exec.Command("dd", "if=/dev/zero", "of="+ballast, "bs=64k").CombinedOutput(); err == nil {
				t.Fatalf("the file system is not full: %s", out)
			}
		}, func() {
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
		}
}
