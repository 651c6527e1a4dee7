package database_test

import (
	"strconv"
	"testing"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
)

// BenchmarkCopyIn appends 2000 rows in a transaction, about what a busy tap
// reports in 10 s.
func BenchmarkCopyIn(b *testing.B) {
	for _, e := range databasetest.Engines() {
		b.Run(string(e), func(b *testing.B) {
			db := databasetest.Open(b, e, things)
			const rows = 2000
			b.ReportAllocs()
			for round := 0; b.Loop(); round++ {
				err := db.Tx(b.Context(), func(tx *database.Tx) error {
					_, err := tx.CopyIn(b.Context(), "things", []string{"id", "n", "data"}, rows, func(i int) []any {
						return []any{strconv.Itoa(round*rows + i), int64(i), []byte("0123456789abcdef")}
					})
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkTx writes one row in a transaction of its own.
func BenchmarkTx(b *testing.B) {
	for _, e := range databasetest.Engines() {
		b.Run(string(e), func(b *testing.B) {
			db := databasetest.Open(b, e, things)
			for i := 0; b.Loop(); i++ {
				if _, err := db.Exec(b.Context(), `INSERT INTO things (id, n) VALUES ($1, $2)`, strconv.Itoa(i), i); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkQueryRow reads one row by its key.
func BenchmarkQueryRow(b *testing.B) {
	for _, e := range databasetest.Engines() {
		b.Run(string(e), func(b *testing.B) {
			db := databasetest.Open(b, e, things)
			if _, err := db.Exec(b.Context(), `INSERT INTO things (id, n) VALUES ($1, $2)`, "one", 1); err != nil {
				b.Fatal(err)
			}
			var n int
			for b.Loop() {
				if err := db.QueryRow(b.Context(), `SELECT n FROM things WHERE id = $1`, "one").Scan(&n); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
