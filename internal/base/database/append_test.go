package database_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
)

var appendSchema = []database.Migration{{Name: "test/0001_append", SQL: `CREATE TABLE things (
	big BIGINT NOT NULL, middle INTEGER NOT NULL, small SMALLINT NOT NULL, name TEXT NOT NULL, addr BYTEA)`}}

var appendColumns = []database.Column{{Name: "big"}, {Name: "middle", Type: database.Int32}, {Name: "small", Type: database.Int16},
	{Name: "name", Type: database.String}, {Name: "addr", Type: database.Bytes}}

// TestAppend writes rows of every type, many enough for several chunks, and
// reads them back.
func TestAppend(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, appendSchema, func(t *testing.T, db *database.DB) {
		const n = 5003
		long := strings.Repeat("é", 300)
		err := db.Tx(t.Context(), func(tx *database.Tx) error {
			got, err := tx.Append(t.Context(), "things", appendColumns, n, func(i int, r *database.Row) {
				r.Int(int64(i) << 33)
				r.Int(-int64(i))
				r.Bool(i%2 == 1)
				r.Text(long[:2*(i%300)])
				if i%3 == 0 {
					r.Addr(netip.Addr{})
				} else {
					r.Addr(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
				}
			})
			if got != n {
				t.Errorf("%d rows were appended", got)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		rows, err := db.Query(t.Context(), "SELECT big, middle, small, name, addr FROM things ORDER BY big")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		i := 0
		for ; rows.Next(); i++ {
			var big, middle, small int64
			var name string
			var addr []byte
			if err := rows.Scan(&big, &middle, &small, &name, &addr); err != nil {
				t.Fatal(err)
			}
			want := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
			if i%3 == 0 {
				want = netip.Addr{}
			}
			if big != int64(i)<<33 || middle != -int64(i) || small != int64(i%2) || name != long[:2*(i%300)] || database.AddrFrom16(addr) != want || (addr == nil) != (i%3 == 0) {
				t.Fatalf("row %d is %d %d %d %q %v", i, big, middle, small, name, addr)
			}
		}
		if err := rows.Err(); err != nil || i != n {
			t.Fatalf("%d rows: %v", i, err)
		}
	})
}

// TestAppendRefuses leaves the table as it was when a row is wrong.
func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, appendSchema, func(t *testing.T, db *database.DB) {
		wrong := map[string]func(r *database.Row){
			"too few values": func(r *database.Row) { r.Int(1) },
			"too many values": func(r *database.Row) {
				r.Int(1)
				r.Int(1)
				r.Int(1)
				r.Text("")
				r.Bytes(nil)
				r.Int(1)
			},
			"another type": func(r *database.Row) { r.Int(1); r.Int(1); r.Int(1); r.Int(1); r.Bytes(nil) },
		}
		if db.Engine() == database.PostgreSQL { // SQLite has one width
			wrong["too large"] = func(r *database.Row) { r.Int(1); r.Int(1 << 40); r.Int(1); r.Text(""); r.Bytes(nil) }
		}
		for name, fill := range wrong {
			err := db.Tx(t.Context(), func(tx *database.Tx) error {
				_, err := tx.Append(t.Context(), "things", appendColumns, 300, func(i int, r *database.Row) {
					if i == 299 {
						fill(r)
						return
					}
					r.Int(1)
					r.Int(1)
					r.Int(1)
					r.Text("x")
					r.Bytes(nil)
				})
				return err
			})
			if err == nil {
				t.Errorf("%s is taken", name)
			}
		}
		var n int
		if err := db.QueryRow(t.Context(), "SELECT COUNT(*) FROM things").Scan(&n); err != nil || n != 0 {
			t.Errorf("%d rows are left, %v", n, err)
		}
	})
}
