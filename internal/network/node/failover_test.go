package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

// nightly reports whether the long forms are to run.
func nightly() bool { return os.Getenv("RIND_NIGHTLY") != "" }

// fleet is taps that send reports to any of some nodes, each again until it is
// taken, as taps do.
type fleet struct {
	urls  func() []string
	sent  atomic.Int64 // reports that were answered 200
	again atomic.Int64 // tries that were not
	slow  atomic.Int64 // of them, those that were answered 429: the node had enough to do
	flows atomic.Int64
	twice atomic.Int64 // answered duplicate: an answer was lost

	cancel context.CancelFunc
	over   atomic.Bool // the test has ended: nobody waits for what is under way
	done   sync.WaitGroup
}

// send runs taps until stop.
func send(t *testing.T, taps int, tokens []string, urls func() []string) *fleet {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := &fleet{urls: urls, cancel: cancel}
	for i := range taps {
		f.done.Go(func() {
			for n := uint64(1); ctx.Err() == nil; n++ {
				r := reporttest.New(uint64(i)<<32|n, network.Identity{Tap: network.TapID(fmt.Sprintf("tap-%d", i)), Boot: reporttest.Boot(uint64(i)), Sequence: n}, time.Now(), reporttest.Size{Flows: 40, DNS: 10, TLS: 5})
				body, err := report.Encode(r)
				if err != nil {
					t.Error(err)
					return
				}
				f.deliver(t, tokens[i], body, i+int(n)) // whole, also when it is to stop
				f.flows.Add(int64(len(r.Flows)))
			}
		})
	}
	t.Cleanup(func() {
		f.over.Store(true)
		f.stop()
	})
	return f
}

// deliver tries until a node has taken the report.
func (f *fleet) deliver(t *testing.T, token string, body []byte, first int) {
	for try := first; !f.over.Load(); try++ {
		urls := f.urls()
		status, text, err := post(urls[try%len(urls)], token, body)
		switch {
		case err == nil && status == http.StatusOK:
			if bytes.Contains(text, []byte("duplicate")) {
				f.twice.Add(1)
			}
			f.sent.Add(1)
			return
		case err == nil && status/100 == 4 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout:
			t.Errorf("a good report is answered %d: %s", status, text)
			return
		}
		if err == nil && status == http.StatusTooManyRequests {
			f.slow.Add(1)
		}
		if f.again.Add(1) > 1_000_000 {
			t.Error("a report is never taken")
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func post(url, token string, body []byte) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/v1/reports", bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", report.ContentType)
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, text, errors.Join(err, res.Body.Close())
}

// stop ends the taps, each after its last report was taken.
func (f *fleet) stop() {
	f.cancel()
	f.done.Wait()
}

// further waits until so many more reports have been taken.
func (f *fleet) further(t *testing.T, n int64) {
	t.Helper()
	want := f.sent.Load() + n
	for end := time.Now().Add(3 * time.Minute); f.sent.Load() < want; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d further reports were taken in three minutes; %d tries failed", n-(want-f.sent.Load()), n, f.again.Load())
		}
	}
}

// check compares what the database has with what the taps were told it has.
func (f *fleet) check(t *testing.T, db *database.DB) {
	t.Helper()
	var reports, flows, sum, told int64
	row := db.QueryRow(t.Context(), `SELECT (SELECT COUNT(*) FROM reports), (SELECT COUNT(*) FROM flows),
		(SELECT CAST(COALESCE(SUM(flows), 0) AS BIGINT) FROM traffic_minutes), (SELECT CAST(COALESCE(SUM(reports), 0) AS BIGINT) FROM taps)`)
	if err := row.Scan(&reports, &flows, &sum, &told); err != nil {
		t.Fatal(err)
	}
	if reports != f.sent.Load() || told != f.sent.Load() || flows != f.flows.Load() || sum != f.flows.Load() {
		t.Errorf("sent %d reports of %d flows; the database has %d (counted %d) of %d (summed %d)", f.sent.Load(), f.flows.Load(), reports, told, flows, sum)
	}
	t.Logf("%d reports, %d flows, %d tries failed (%d for want of room), %d answers were lost", f.sent.Load(), f.flows.Load(), f.again.Load(), f.slow.Load(), f.twice.Load())
}

// addTaps makes tap-0 to tap-n and returns their tokens.
func addTaps(t *testing.T, n *Node, count int) []string {
	t.Helper()
	var tokens []string
	for i := range count {
		token, err := n.Taps().AddTap(t.Context(), fmt.Sprintf("tap-%d", i), 0)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, token)
	}
	return tokens
}

// TestFailover has taps report through two nodes while the primary dies and a
// real streaming standby is promoted, while connections are ended in the
// middle of COPY, and while the database takes no writes: nothing is lost, and
// nothing counted twice.
func TestFailover(t *testing.T) {
	t.Parallel()
	gone := time.Second
	if nightly() {
		gone = time.Minute
	}
	primary := databasetest.NewInstance(t)
	standby := primary.Standby(t)
	where := databasetest.URLOf(primary, standby)
	var urls []string
	var nodes []*Node
	for range 2 {
		db := databasetest.Reopen(t, database.PostgreSQL, where)
		if err := database.Migrate(t.Context(), db, Migrations()); err != nil {
			t.Fatal(err)
		}
		n := newNode(t, db, DefaultConfig())
		start(t, n)
		t.Cleanup(func() { _ = n.Stop(context.Background()) })
		server := httptest.NewServer(n.Handler())
		t.Cleanup(server.Close)
		nodes, urls = append(nodes, n), append(urls, server.URL)
	}
	f := send(t, 4, addTaps(t, nodes[0], 4), func() []string { return urls })
	f.further(t, 20)

	primary.Kill(t)
	time.Sleep(gone)
	if err := nodes[0].Check(t.Context()); err == nil {
		t.Error("a node without a database says that it is ready")
	}
	standby.Promote(t)
	f.further(t, 20)

	for range 10 { // connections end wherever they are, COPY included
		standby.Run(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'
			AND (query ILIKE 'copy%' OR query ILIKE 'insert%' OR random() < 0.3)`)
		f.further(t, 2)
	}

	failed := f.again.Load()
	standby.Run(t, `ALTER SYSTEM SET default_transaction_read_only = on`)
	standby.Run(t, `SELECT pg_reload_conf()`)
	eventually(t, "writes fail", func() bool { return f.again.Load() > failed+4 })
	standby.Run(t, `ALTER SYSTEM RESET default_transaction_read_only`)
	standby.Run(t, `SELECT pg_reload_conf()`)
	f.further(t, 20)

	f.stop()
	f.check(t, nodes[1].deps.DB)
	for _, n := range nodes {
		eventually(t, "the node is ready again", func() bool { return n.Check(t.Context()) == nil })
	}
}
