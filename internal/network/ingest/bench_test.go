package ingest

import (
	"bytes"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/report/reporttest"
	"github.com/rind-project/rind/internal/network/store"
)

// BenchmarkIngest takes reports of 5,000 flows, 500 DNS queries and 300 hellos
// from the bytes on the wire to the commit.
func BenchmarkIngest(b *testing.B) {
	for _, engine := range databasetest.Engines() {
		b.Run(string(engine), func(b *testing.B) {
			db := databasetest.Open(b, engine, schema())
			s, err := New(Config{}, Deps{DB: db, Store: store.New(db, nil)})
			if err != nil {
				b.Fatal(err)
			}
			token, err := s.AddTap(b.Context(), "a", 0)
			if err != nil {
				b.Fatal(err)
			}
			size := reporttest.Size{Flows: 5000, DNS: 500, TLS: 300}
			r := reporttest.New(1, network.Identity{Tap: "a", Boot: reporttest.Boot(1)}, time.Now(), size)
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
				s.Handler().ServeHTTP(w, request(token, bytes.NewReader(body)))
				if w.Code != 200 {
					b.Fatalf("answered %d %s", w.Code, w.Body)
				}
			}
			b.ReportMetric(float64(size.Flows)*float64(b.N)/b.Elapsed().Seconds(), "flows/s")
		})
	}
}
