package ingest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/report/reporttest"
	"github.com/rind-project/rind/internal/network/store"
)

// bench is a node with so many taps.
func bench(b *testing.B, engine database.Engine, cfg Config, taps int) (s *Service, names []network.TapID, tokens []string) {
	b.Helper()
	db := databasetest.Open(b, engine, schema())
	s, err := New(cfg, Deps{DB: db, Store: store.New(db, nil)})
	if err != nil {
		b.Fatal(err)
	}
	for i := range taps {
		name := fmt.Sprintf("t%d", i)
		token, err := s.AddTap(b.Context(), name, 0)
		if err != nil {
			b.Fatal(err)
		}
		names, tokens = append(names, network.TapID(name)), append(tokens, token)
	}
	return s, names, tokens
}

// BenchmarkIngest takes reports of 5,000 flows, 500 DNS queries and 300 hellos
// from the bytes on the wire to the commit.
func BenchmarkIngest(b *testing.B) {
	for _, engine := range databasetest.Engines() {
		b.Run(string(engine), func(b *testing.B) {
			s, names, tokens := bench(b, engine, Config{}, 1)
			size := reporttest.Size{Flows: 5000, DNS: 500, TLS: 300}
			r := reporttest.New(1, network.Identity{Tap: names[0], Boot: reporttest.Boot(1)}, time.Now(), size)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				r.Sequence++
				body, err := report.Encode(r)
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				w := httptest.NewRecorder()
				s.Handler().ServeHTTP(w, request(tokens[0], bytes.NewReader(body)))
				if w.Code != 200 {
					b.Fatalf("answered %d %s", w.Code, w.Body)
				}
			}
			b.ReportMetric(float64(size.Flows)*float64(b.N)/b.Elapsed().Seconds(), "flows/s")
		})
	}
}

// BenchmarkSmallReports commits reports of 150 flows of 64 taps at once, each
// in a transaction of its own, and in groups.
func BenchmarkSmallReports(b *testing.B) {
	for _, engine := range databasetest.Engines() {
		for _, c := range []struct {
			name string
			cfg  Config
		}{{"alone", Config{GroupReports: 1}}, {"grouped", Config{}}} {
			b.Run(string(engine)+"/"+c.name, func(b *testing.B) {
				const taps = 64
				s, names, _ := bench(b, engine, c.cfg, taps)
				var next atomic.Int64
				var all sync.WaitGroup
				b.ResetTimer()
				for i := range taps {
					all.Go(func() {
						r := reporttest.New(uint64(i), network.Identity{Tap: names[i], Boot: reporttest.Boot(1)}, time.Now(), reporttest.Size{Flows: 150, DNS: 15, TLS: 9})
						for next.Add(1) <= int64(b.N) {
							r.Sequence++
							if fresh, err := s.Commit(b.Context(), r); !fresh || err != nil {
								b.Error(fresh, err)
								return
							}
						}
					})
				}
				all.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reports/s")
			})
		}
	}
}

// BenchmarkTaps lets 1,000 taps send a report of 150 flows each within ten
// seconds, over HTTPS, as they come: each at a moment of its own. Then one tap
// sends a hundred times more than each of the others meanwhile. It is run once:
// -bench Taps -benchtime 1x.
func BenchmarkTaps(b *testing.B) {
	for _, engine := range databasetest.Engines() {
		for _, greedy := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/greedy=%t", engine, greedy), func(b *testing.B) {
				for b.Loop() {
					takeTurns(b, engine, greedy)
				}
			})
		}
	}
}

func takeTurns(b *testing.B, engine database.Engine, greedy bool) {
	const taps, round = 1000, 10 * time.Second
	s, names, tokens := bench(b, engine, Config{}, taps+1)
	server := httptest.NewTLSServer(s.Handler())
	defer server.Close()
	client := server.Client()
	transport, ok := client.Transport.(*http.Transport)
	if !ok {
		b.Fatal("no transport")
	}
	transport.MaxIdleConnsPerHost = taps
	bodies := make([][]byte, taps)
	for i := range bodies {
		r := reporttest.New(uint64(i), network.Identity{Tap: names[i], Boot: reporttest.Boot(1), Sequence: 1}, time.Now(), reporttest.Size{Flows: 150, DNS: 15, TLS: 9})
		bodies[i], _ = report.Encode(r)
	}
	var surplus [][]byte
	for n := range uint64(100) {
		r := reporttest.New(n, network.Identity{Tap: names[taps], Boot: reporttest.Boot(1), Sequence: n + 1}, time.Now(), reporttest.Size{Flows: 150, DNS: 15, TLS: 9})
		body, _ := report.Encode(r)
		surplus = append(surplus, body)
	}
	var all sync.WaitGroup
	var refused atomic.Int64
	took := make([]time.Duration, taps)
	post := func(token string, body []byte) int {
		q := request(token, bytes.NewReader(body))
		q.RequestURI, q.URL.Host, q.URL.Scheme = "", server.Listener.Addr().String(), "https"
		resp, err := client.Do(q.WithContext(b.Context()))
		if err != nil {
			b.Error(err)
			return 0
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	for i := range taps {
		all.Go(func() {
			time.Sleep(round * time.Duration(i) / taps)
			began := time.Now()
			for post(tokens[i], bodies[i]) != 200 {
				refused.Add(1)
				time.Sleep(10 * time.Millisecond)
			}
			took[i] = time.Since(began)
		})
	}
	if greedy {
		for _, body := range surplus {
			all.Go(func() { // all at once
				for post(tokens[taps], body) != 200 {
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
	}
	all.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[taps/2].Microseconds())/1000, "ms-p50")
	b.ReportMetric(float64(took[taps*99/100].Microseconds())/1000, "ms-p99")
	b.ReportMetric(float64(refused.Load()), "refused")
	fmt.Fprintf(os.Stderr, "RESULT name=taps-%s-greedy-%t p50=%s p99=%s limit=1s\n", engine, greedy, took[taps/2], took[taps*99/100])
}
