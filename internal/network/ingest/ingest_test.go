package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/report/reporttest"
	"github.com/rind-project/rind/internal/network/store"
)

// rig is a node's ingest with one tap, "a".
type rig struct {
	t     *testing.T
	db    *database.DB
	store *store.Store
	svc   *Service
	token string
	now   time.Time
}

func schema() []database.Migration { return append(store.Migrations(), Migrations()...) }

func each(t *testing.T, fn func(t *testing.T, r *rig)) {
	t.Parallel()
	databasetest.Each(t, schema(), func(t *testing.T, db *database.DB) {
		t.Parallel()
		r := &rig{t: t, db: db, now: time.Now().UTC().Truncate(time.Second)}
		r.store = store.New(db, r.clock)
		r.svc = r.instance(Config{})
		var err error
		if r.token, err = r.svc.AddTap(t.Context(), "a", 0); err != nil {
			t.Fatal(err)
		}
		fn(t, r)
	})
}

func (r *rig) clock() time.Time { return r.now }

// instance is another node on the same database.
func (r *rig) instance(cfg Config) *Service {
	r.t.Helper()
	s, err := New(cfg, Deps{DB: r.db, Store: r.store, Now: r.clock})
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) report(tap network.TapID, sequence uint64) *network.Report {
	return reporttest.New(sequence, network.Identity{Tap: tap, Boot: reporttest.Boot(1), Sequence: sequence}, r.now, reporttest.Size{Flows: 60, DNS: 20, TLS: 10})
}

func encode(t *testing.T, r *network.Report) []byte {
	t.Helper()
	b, err := report.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func request(token string, body io.Reader) *http.Request {
	q := httptest.NewRequest(http.MethodPost, "/api/v1/reports", body)
	q.Header.Set("Authorization", "Bearer "+token)
	q.Header.Set("Content-Type", report.ContentType)
	return q
}

// post sends a report and returns the status, and the answer's status or
// message.
func post(t *testing.T, s *Service, q *http.Request) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, q)
	var a struct {
		Status string
		Error  struct{ Kind, Message string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Errorf("the answer %q is no JSON: %v", w.Body, err)
	}
	return w.Code, a.Status + a.Error.Message
}

// counts are the rows in each table.
func (r *rig) counts(t *testing.T) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	for _, table := range []string{"flows", "dns_queries", "tls_hellos", "ledgers", "gaps", "reports", "traffic_minutes"} {
		var n int64
		if err := r.db.QueryRow(t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		out[table] = n
	}
	return out
}

// TestExactlyOnce offers each report twenty times at once to two nodes.
func TestExactlyOnce(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		nodes := []*Service{r.svc, r.instance(Config{Concurrent: 20})}
		var flows int
		var bytesSum uint64
		for sequence := range uint64(3) {
			rep := r.report("a", sequence+1)
			rep.Gap = &network.Gap{Boot: reporttest.Boot(9), To: r.now}
			flows += len(rep.Flows)
			for _, f := range rep.Flows {
				bytesSum += f.SrcBytes + f.DstBytes
			}
			body := encode(t, rep)
			var mu sync.Mutex
			seen := map[string]int{}
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					for {
						status, text := post(t, nodes[i%2], request(r.token, bytes.NewReader(body)))
						if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
							time.Sleep(5 * time.Millisecond)
							continue
						}
						mu.Lock()
						seen[fmt.Sprint(status, " ", text)]++
						mu.Unlock()
						return
					}
				})
			}
			all.Wait()
			if seen["200 committed"] != 1 || seen["200 duplicate"] != 19 {
				t.Errorf("report %d was answered %v", sequence+1, seen)
			}
		}
		n := r.counts(t)
		if n["reports"] != 3 || n["flows"] != int64(flows) || n["gaps"] != 3 || n["ledgers"] != 3 || n["dns_queries"] != 60 || n["tls_hellos"] != 30 {
			t.Errorf("rows are %v, want 3 reports with %d flows", n, flows)
		}
		var stored int64
		if err := r.db.QueryRow(t.Context(), "SELECT CAST(SUM(src_bytes + dst_bytes) AS BIGINT) FROM flows").Scan(&stored); err != nil || stored != int64(bytesSum) {
			t.Errorf("%d bytes are stored (%v), want %d", stored, err, bytesSum)
		}
		var minutes int64
		if err := r.db.QueryRow(t.Context(), "SELECT CAST(SUM(bytes) AS BIGINT) FROM traffic_minutes").Scan(&minutes); err != nil || minutes != stored {
			t.Errorf("the minutes have %d bytes (%v), the flows %d", minutes, err, stored)
		}
	})
}

// TestRefusals lists what is refused, with its answer, and shows that nothing
// of it is written.
func TestRefusals(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		good := encode(t, r.report("a", 1))
		other, err := r.svc.AddTap(t.Context(), "other", 0)
		if err != nil {
			t.Fatal(err)
		}
		brief, err := r.svc.AddTap(t.Context(), "brief", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		r.now = r.now.Add(2 * time.Minute) // brief has expired
		change := func(f func(*network.Report)) []byte {
			rep := r.report("a", 1)
			f(rep)
			return encode(t, rep)
		}
		bomb := []byte("RIND\x01")
		z, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		bomb = z.EncodeAll(make([]byte, 500<<20), bomb)
		wrongSecret := r.token[:len(r.token)-1] + "x"
		if wrongSecret == r.token {
			wrongSecret = r.token[:len(r.token)-1] + "y"
		}
		tests := []struct {
			name   string
			token  string
			body   []byte
			status int
			text   string
		}{
			{"no token", "", good, 401, "rind tap add"},
			{"garbage token", "rindtap__", good, 401, "rind tap add"},
			{"unknown tap", network.TokenPrefix + "nobody_" + strings.Repeat("a", 52), good, 401, "rind tap add"},
			{"wrong secret", wrongSecret, good, 401, "rind tap add"},
			{"endless token", strings.Repeat("a", 1<<20), good, 401, "rind tap add"},
			{"expired token", brief, good, 403, "expired"},
			{"another tap's token", other, good, 403, `of tap "a"`},
			{"over-size", r.token, make([]byte, 8<<20+1), 413, "8388608"},
			{"bomb", r.token, bomb, 413, "expands"},
			{"truncated", r.token, good[:len(good)/2], 400, "cut off"},
			{"garbage", r.token, []byte("hello"), 400, "no report"},
			{"empty", r.token, nil, 400, "no report"},
			{"nobody's report", r.token, change(func(r *network.Report) { r.Tap = "" }), 403, "tap"},
			{"bad boot", r.token, change(func(r *network.Report) { r.Boot = "../../etc" }), 422, "UUID"},
			{"sequence 0", r.token, change(func(r *network.Report) { r.Sequence = 0 }), 422, "sequence"},
			{"sequence over the column", r.token, change(func(r *network.Report) { r.Sequence = 1 << 63 }), 422, "sequence"},
			{"ends before it starts", r.token, change(func(r *network.Report) { r.Start = r.End.Add(time.Second) }), 422, "before it starts"},
			{"older than retention", r.token, change(func(r *network.Report) { r.Start = r.Start.AddDate(0, -2, 0); r.End = r.Start }), 422, "retention"},
			{"in the future", r.token, change(func(r *network.Report) { r.End = r.End.Add(48 * time.Hour) }), 422, "clock"},
			{"flow in the year 9999", r.token, change(func(r *network.Report) { r.Flows[3].Start = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) }), 422, "flow 3"},
			{"flow before 2000", r.token, change(func(r *network.Report) { r.Flows[0].End = time.Unix(0, 0) }), 422, "flow 0"},
			{"DNS query in 1970", r.token, change(func(r *network.Report) { r.DNS[1].Time = time.Unix(0, 0) }), 422, "DNS query 1"},
			{"TLS hello in 1970", r.token, change(func(r *network.Report) { r.TLS[2].Time = time.Unix(0, 0) }), 422, "TLS hello 2"},
			{"record in 1970", r.token, change(func(r *network.Report) { r.NTP = []network.NTP{{Session: network.Session{Time: time.Unix(0, 0)}}} }), 422, "row 0 of ntp"},
			{"negative counter", r.token, change(func(r *network.Report) { r.Flows[0].SrcBytes = 1<<64 - 5 }), 422, "flow 0"},
			{"ledger over the column", r.token, change(func(r *network.Report) { r.Interfaces[0].Received = 1 << 63 }), 422, "eth0"},
			{"gap over the column", r.token, change(func(r *network.Report) { r.Gap = &network.Gap{Sequence: 1 << 63, To: r.End} }), 422, "gap"},
		}
		for _, tc := range tests {
			status, text := post(t, r.svc, request(tc.token, bytes.NewReader(tc.body)))
			if status != tc.status || !strings.Contains(text, tc.text) {
				t.Errorf("%s: answered %d %q, want %d with %q", tc.name, status, text, tc.status, tc.text)
			}
		}
		q := request(r.token, bytes.NewReader(good))
		q.Header.Set("Content-Type", "text/plain")
		if status, text := post(t, r.svc, q); status != 415 || !strings.Contains(text, "application/json") {
			t.Errorf("plain text is answered %d %s", status, text)
		}
		for table, n := range r.counts(t) {
			if n != 0 {
				t.Errorf("%s has %d rows after refusals only", table, n)
			}
		}
	})
}

// unread fails the test when anything of it is read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func TestBodyIsNotReadBeforeItMay(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		if status, _ := post(t, r.svc, request("rindtap_a_wrong", unread{t})); status != 401 {
			t.Errorf("a wrong token is answered %d", status)
		}
		q := request(r.token, unread{t})
		q.ContentLength = 8<<20 + 1
		q.Header.Set("Expect", "100-continue") // who does not wait is listened to for a while
		if status, _ := post(t, r.svc, q); status != 413 {
			t.Errorf("an announced over-size is answered %d", status)
		}
		for _, announced := range []int64{-1, 1 << 40} { // chunked, and with its length
			// A frame that is to be skipped (RFC 8878 section 3.1.2).
			endless := io.LimitedReader{R: io.MultiReader(strings.NewReader("RIND\x01\x50\x2a\x4d\x18\xff\xff\xff\xff"), zeros{}), N: 1 << 40}
			q = request(r.token, &endless)
			q.ContentLength = announced
			if status, text := post(t, r.svc, q); status != 413 {
				t.Errorf("an endless body is answered %d %s", status, text)
			}
			if read := int64(1<<40) - endless.N; read > 5*8<<20+64<<10 { // the limit, four times as much to be able to answer, and a buffer
				t.Errorf("%d bytes of an endless body were read", read)
			}
		}
	})
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// TestBehind holds one body open and shows that a second report is answered
// 429 with Retry-After, and taken later.
func TestBehind(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		s := r.instance(Config{Concurrent: 1})
		body := encode(t, r.report("a", 1))
		slow, feed := io.Pipe()
		first := make(chan int)
		go func() {
			status, _ := post(t, s, request(r.token, slow))
			first <- status
		}()
		if _, err := feed.Write(body[:10]); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, request(r.token, unread{t}))
		if w.Code != 429 || w.Header().Get("Retry-After") == "" {
			t.Errorf("the second is answered %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}
		if _, err := feed.Write(body[10:]); err != nil {
			t.Fatal(err)
		}
		feed.Close()
		if status := <-first; status != 200 {
			t.Errorf("the first is answered %d", status)
		}
		if status, _ := post(t, s, request(r.token, bytes.NewReader(encode(t, r.report("a", 2))))); status != 200 {
			t.Errorf("the second, later, is answered %d", status)
		}
	})
}

// TestTrickle shows that a body that does not arrive gives its slot back.
func TestTrickle(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		s := r.instance(Config{Concurrent: 1, BodyTimeout: 100 * time.Millisecond})
		server := httptest.NewServer(s.Handler())
		defer server.Close()
		slow, feed := io.Pipe()
		defer feed.Close()
		go func() { _, _ = feed.Write([]byte("RIND")) }()
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, slow)
		if err != nil {
			t.Fatal(err)
		}
		q.Header = request(r.token, nil).Header
		resp, err := server.Client().Do(q)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusRequestTimeout {
				t.Errorf("a trickle is answered %d", resp.StatusCode)
			}
		}
		if status, text := post(t, s, request(r.token, bytes.NewReader(encode(t, r.report("a", 1))))); status != 200 {
			t.Errorf("after it a good report is answered %d %s", status, text)
		}
	})
}

func TestRevokeAndRotate(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		elsewhere := r.instance(Config{})
		send := func(s *Service, token string, sequence uint64) int {
			status, _ := post(t, s, request(token, bytes.NewReader(encode(t, r.report("a", sequence)))))
			return status
		}
		if status := send(elsewhere, r.token, 1); status != 200 {
			t.Fatalf("a good token is answered %d", status)
		}
		fresh, err := r.svc.RotateTap(t.Context(), "a", 0)
		if err != nil {
			t.Fatal(err)
		}
		if old, now := send(r.svc, r.token, 2), send(r.svc, fresh, 2); old != 401 || now != 200 {
			t.Errorf("after the rotation the old token is answered %d, the new one %d", old, now)
		}
		r.now = r.now.Add(tokenFresh)
		if old, now := send(elsewhere, r.token, 3), send(elsewhere, fresh, 3); old != 401 || now != 200 {
			t.Errorf("on another node the old token is answered %d, the new one %d", old, now)
		}
		if err := r.svc.RevokeTap(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if here, there := send(r.svc, fresh, 4), send(elsewhere, fresh, 4); here != 403 || there != 403 {
			t.Errorf("at once after the revocation: %d here, %d on another node", here, there)
		}
		if n := r.counts(t)["reports"]; n != 3 {
			t.Errorf("%d reports, want 3", n)
		}
		if err := r.svc.RevokeTap(t.Context(), "a"); !errs.Is(err, errs.NotFound) {
			t.Errorf("the second revocation gives %v", err)
		}
		if _, err := r.svc.RotateTap(t.Context(), "a", 0); !errs.Is(err, errs.NotFound) {
			t.Errorf("rotating a revoked tap gives %v", err)
		}
		back, err := r.svc.AddTap(t.Context(), "a", 0)
		if err != nil {
			t.Fatal(err)
		}
		if old, now := send(r.svc, fresh, 5), send(r.svc, back, 5); old != 401 || now != 200 {
			t.Errorf("added again, the old token is answered %d, the new one %d", old, now)
		}
	})
}

func TestAddTapRefuses(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		for name, kind := range map[string]errs.Kind{"a": errs.Conflict, "": errs.Invalid, "A": errs.Invalid, "a.b": errs.Invalid, "*": errs.Invalid, strings.Repeat("a", 64): errs.Invalid} {
			if _, err := r.svc.AddTap(t.Context(), name, 0); !errs.Is(err, kind) {
				t.Errorf("%q gives %v", name, err)
			}
		}
		token, err := r.svc.AddTap(t.Context(), "with_under-score_", 0)
		if err != nil {
			t.Fatal(err)
		}
		if name, ok := network.TapOfToken(token); !ok || name != "with_under-score_" {
			t.Errorf("the token %q names %q", token, name)
		}
		var stored []byte
		if err := r.db.QueryRow(t.Context(), "SELECT hash FROM taps WHERE name = 'a'").Scan(&stored); err != nil {
			t.Fatal(err)
		}
		if len(stored) != 32 || bytes.Contains(stored, []byte(r.token[10:20])) {
			t.Errorf("stored of the token is %x", stored)
		}
	})
}

func TestTaps(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		if _, err := r.svc.AddTap(t.Context(), "b", time.Hour); err != nil {
			t.Fatal(err)
		}
		newer, older := r.report("a", 2), r.report("a", 1)
		older.Start, older.End = older.Start.Add(-time.Hour), older.End.Add(-time.Hour)
		older.Health.Version = "v0"
		older.Gap = &network.Gap{Boot: reporttest.Boot(5), Sequence: 8, From: r.now.Add(-3 * time.Hour), To: r.now.Add(-2 * time.Hour)}
		for _, rep := range []*network.Report{newer, older} { // an old one is retried late
			if fresh, err := r.svc.Commit(t.Context(), rep); err != nil || !fresh {
				t.Fatal(fresh, err)
			}
		}
		taps, err := r.svc.Taps(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(taps) != 2 || taps[0].Name != "a" || taps[1].Name != "b" {
			t.Fatalf("taps are %+v", taps)
		}
		a, b := taps[0], taps[1]
		received := newer.Interfaces[0].Received + older.Interfaces[0].Received
		if a.Reports != 2 || !reflect.DeepEqual(a.Health, newer.Health) || !a.LastEnd.Equal(newer.End) || !a.LastReport.Equal(r.now) || a.Loss.Received != int64(received) || a.LossPercent <= 0 {
			t.Errorf("tap a is %+v", a)
		}
		if a.LastGap == nil || a.LastGap.Sequence != 8 || !a.LastGap.From.Equal(older.Gap.From) {
			t.Errorf("its gap is %+v", a.LastGap)
		}
		if b.Reports != 0 || b.LastReport != nil || b.LastGap != nil || b.Revoked != nil || !b.Expires.Equal(r.now.Add(time.Hour)) || b.LossPercent != 0 {
			t.Errorf("tap b is %+v", b)
		}
	})
}

// TestTapPages reads taps by pages of every size.
func TestTapPages(t *testing.T) {
	each(t, func(t *testing.T, r *rig) { // the tap a is there
		want := []network.TapID{"a"}
		for i := range 6 {
			name := fmt.Sprintf("b%d", i)
			if _, err := r.svc.AddTap(t.Context(), name, 0); err != nil {
				t.Fatal(err)
			}
			want = append(want, network.TapID(name))
		}
		gapped := r.report("a", 1)
		for n, long := range []time.Duration{3 * time.Hour, time.Hour, 2 * time.Hour} {
			gapped.Sequence, gapped.Gap = uint64(n)+1, &network.Gap{Boot: reporttest.Boot(5), Sequence: uint64(n) + 1, From: r.now.Add(-9 * time.Hour), To: r.now.Add(-long)}
			if _, err := r.svc.Commit(t.Context(), gapped); err != nil {
				t.Fatal(err)
			}
		}
		for size := 1; size <= 8; size++ {
			var got []network.TapID
			for after := network.TapID(""); ; {
				page, err := r.svc.TapPage(t.Context(), "", after, size)
				if err != nil || len(page) > size {
					t.Fatalf("%d taps on a page of %d: %v", len(page), size, err)
				}
				if len(page) == 0 {
					break
				}
				for _, p := range page {
					got = append(got, p.Name)
					if (p.LastGap != nil) != (p.Name == "a") || p.LastGap != nil && p.LastGap.Sequence != 2 || p.Loss.Tap != p.Name {
						t.Errorf("%+v has the gap %+v", p, p.LastGap)
					}
				}
				after = page[len(page)-1].Name
			}
			if !slices.Equal(got, want) {
				t.Errorf("by pages of %d: %v, want %v", size, got, want)
			}
		}
	})
}

// TestDatabaseDown shows that a report is answered 503 while the database
// fails, and is taken when it is back.
func TestDatabaseDown(t *testing.T) {
	t.Parallel()
	for _, engine := range databasetest.Engines() {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			where := databasetest.URL(t, engine)
			open := func() *Service {
				db := databasetest.Reopen(t, engine, where)
				if err := database.Migrate(t.Context(), db, schema()); err != nil {
					t.Fatal(err)
				}
				s, err := New(Config{}, Deps{DB: db, Store: store.New(db, nil)})
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			s := open()
			token, err := s.AddTap(t.Context(), "a", 0)
			if err != nil {
				t.Fatal(err)
			}
			body := func(n uint64) *http.Request {
				r := rig{now: time.Now()}
				return request(token, bytes.NewReader(encode(t, r.report("a", n))))
			}
			if status, _ := post(t, s, body(1)); status != 200 {
				t.Fatalf("answered %d", status)
			}
			if err := s.db.Close(); err != nil {
				t.Fatal(err)
			}
			// Once with the tokens in memory, once without.
			for range 2 {
				if status, text := post(t, s, body(2)); status != 503 || strings.Contains(text, "sql") {
					t.Errorf("without a database answered %d %q", status, text)
				}
				s.tokens = newTokens(s.loadToken, s.now)
			}
			s = open()
			for n, want := range map[uint64]string{1: "duplicate", 2: "committed"} {
				if status, text := post(t, s, body(n)); status != 200 || text != want {
					t.Errorf("report %d, with the database back, is answered %d %s, want %s", n, status, text, want)
				}
			}
		})
	}
}

// TestFailedCommitLeavesNothing makes the last statement of the transaction
// fail.
func TestFailedCommitLeavesNothing(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		if _, err := r.db.Exec(t.Context(), "ALTER TABLE taps RENAME COLUMN health TO gone"); err != nil {
			t.Fatal(err)
		}
		body := encode(t, r.report("a", 1))
		if status, _ := post(t, r.svc, request(r.token, bytes.NewReader(body))); status != 503 {
			t.Errorf("answered %d", status)
		}
		for table, n := range r.counts(t) {
			if n != 0 {
				t.Errorf("%s has %d rows of a transaction that failed", table, n)
			}
		}
		if _, err := r.db.Exec(t.Context(), "ALTER TABLE taps RENAME COLUMN gone TO health"); err != nil {
			t.Fatal(err)
		}
		if status, text := post(t, r.svc, request(r.token, bytes.NewReader(body))); status != 200 || text != "committed" {
			t.Errorf("answered %d %s", status, text)
		}
	})
}

func TestUnbalancedLedgerIsKeptAndCounted(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		good, bad := r.report("a", 1), r.report("a", 2)
		bad.Interfaces[0].Received++
		for i, rep := range []*network.Report{good, bad} {
			if status, text := post(t, r.svc, request(r.token, bytes.NewReader(encode(t, rep)))); status != 200 {
				t.Fatalf("report %d was answered %d %s", i, status, text)
			}
			if n := testutil.ToFloat64(r.svc.metrics.wrong); n != float64(i) {
				t.Errorf("after report %d, %v ledgers are counted as wrong, want %d", i, n, i)
			}
		}
		if n := r.counts(t)["ledgers"]; n != int64(len(good.Interfaces)+len(bad.Interfaces)) {
			t.Errorf("%d ledgers are kept", n)
		}
	})
}

func TestPurge(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		for n := range uint64(3) {
			if _, err := r.svc.Commit(t.Context(), r.report("a", n+1)); err != nil {
				t.Fatal(err)
			}
			r.now = r.now.Add(20 * 24 * time.Hour)
		}
		if n, err := r.svc.Purge(t.Context()); err != nil || n != 2 {
			t.Errorf("%d identities went (%v), want 2", n, err)
		}
	})
}

// TestRecordsAreCounted shows that every kind of row is taken, and counted by
// its name, and that what a newer tap knows is counted too.
func TestRecordsAreCounted(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		rep := reporttest.New(1, network.Identity{Tap: "a", Boot: reporttest.Boot(1), Sequence: 1}, r.now, reporttest.Size{Flows: 3, DNS: 3, TLS: 3, Records: 3})
		rep.Gap = &network.Gap{Boot: "b", From: rep.Start.Add(-time.Hour), To: rep.Start}
		rep.HTTP[0].Length = 1<<64 - 1 // a packet may claim that
		if status, text := post(t, r.svc, request(r.token, bytes.NewReader(encode(t, rep)))); status != 200 {
			t.Fatalf("answered %d %s", status, text)
		}
		infos, err := r.store.KindInfos(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range infos {
			want := 3.0
			if info.Kind.Name == store.KindLedgers || info.Kind.Name == store.KindGaps {
				want = 1
			}
			if n := testutil.ToFloat64(r.svc.metrics.rows.WithLabelValues(info.Kind.Name)); n != want || info.Rows != int64(want) {
				t.Errorf("%s: %v rows in the metric, %d in the table, want %v", info.Kind.Name, n, info.Rows, want)
			}
		}
		if n := testutil.ToFloat64(r.svc.metrics.unread); n != 0 {
			t.Errorf("%v rows of unknown kinds", n)
		}
	})
}
