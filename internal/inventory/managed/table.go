package managed

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/fleet"
)

// Bounds of the table and of its transactions.
const (
	maxAddresses = 64  // of a host; and so many hardware addresses
	batchRows    = 500 // written in one transaction
	pageRows     = 5000
	keepGone     = 24 * time.Hour // for nodes that were away
	stateName    = "hosts"
)

// packed is a host as its row has it.
type packed struct{ addresses, macs string }

// pack makes the columns of a host, and says how many addresses were left out.
func pack(h fleet.HostAddresses) (p packed, left int) {
	var b strings.Builder
	for _, a := range h.Addresses[:min(len(h.Addresses), maxAddresses)] {
		b.Write(database.Addr16(a))
	}
	p.addresses = b.String()
	b.Reset()
	for _, mac := range h.MACs[:min(len(h.MACs), maxAddresses)] {
		b.Write(mac[:])
	}
	p.macs = b.String()
	return p, max(0, len(h.Addresses)-maxAddresses)
}

// unpack reads the addresses of a row.
func unpack(b []byte) []netip.Addr {
	all := make([]netip.Addr, 0, len(b)/16)
	for ; len(b) >= 16; b = b[16:] {
		all = append(all, database.AddrFrom16(b[:16]))
	}
	return all
}

// state is how far the table is.
type state struct {
	revision  int64 // of the last transaction that wrote
	forgotten int64
}

// rower is a DB or a Tx.
type rower interface {
	QueryRow(ctx context.Context, q string, args ...any) *sql.Row
}

// readState reads how far the table is; zeros when nobody has written yet.
func readState(ctx context.Context, db rower) (s state, err error) {
	err = db.QueryRow(ctx, `SELECT revision, forgotten FROM managed_state WHERE name = $1`, stateName).Scan(&s.revision, &s.forgotten)
	if errors.Is(err, sql.ErrNoRows) {
		return state{}, nil
	}
	return s, err
}

// row is one of the table.
type row struct {
	id        fleet.PeelID
	addresses []byte
	macs      []byte
	revision  int64
}

// readAfter calls each for all rows of a higher revision, in pages, lowest
// first. Rows that change meanwhile come again.
func readAfter(ctx context.Context, db *database.DB, revision int64, each func(row)) error {
	at := row{revision: revision + 1} // no id is empty
	for {
		n, err := readPage(ctx, db, &at, each)
		if err != nil {
			return fmt.Errorf("reading which hosts are managed: %w", err)
		}
		if n < pageRows {
			return nil
		}
	}
}

// readPage reads rows after one, and moves it to the last of them.
func readPage(ctx context.Context, db *database.DB, at *row, each func(row)) (n int, err error) {
	rows, err := db.Query(ctx, `SELECT id, addresses, macs, revision FROM managed_hosts WHERE (revision, id) > ($1, $2) ORDER BY revision, id LIMIT $3`,
		at.revision, string(at.id), pageRows)
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	for ; rows.Next(); n++ {
		var id string
		if err := rows.Scan(&id, &at.addresses, &at.macs, &at.revision); err != nil {
			return n, err
		}
		at.id = fleet.PeelID(id)
		each(*at)
	}
	return n, rows.Err()
}

// change is what a row becomes.
type change struct {
	id fleet.PeelID
	to packed // empty: the host has gone
}

// deleteRows takes out the rows of up to batchRows ids; its text is always the
// same, so that it is prepared once.
var deleteRows = func() string {
	var b strings.Builder
	b.WriteString(`DELETE FROM managed_hosts WHERE id IN (`)
	for i := range batchRows {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", i+1)
	}
	return b.String() + ")"
}()

// write writes a batch of changes under a revision of its own, above one that
// is expected to be the last; ok is false, and nothing is written, when it is
// not.
func write(ctx context.Context, tx *database.Tx, expected int64, batch []change, now time.Time) (revision int64, ok bool, err error) {
	s, err := readState(ctx, tx)
	if err != nil || s.revision != expected {
		return s.revision, false, err
	}
	// The clock keeps revisions rising also when the database has lost the
	// last ones, as after a failover.
	revision = max(s.revision+1, database.Micros(now))
	ids := make([]any, batchRows)
	for i := range ids {
		ids[i] = string(batch[min(i, len(batch)-1)].id)
	}
	if _, err := tx.Exec(ctx, deleteRows, ids...); err != nil {
		return 0, false, err
	}
	_, err = tx.CopyIn(ctx, "managed_hosts", []string{"id", "addresses", "macs", "revision", "gone_us"}, len(batch), func(i int) []any {
		c, gone := batch[i], int64(0)
		if c.to.addresses == "" {
			gone = database.Micros(now)
		}
		return []any{string(c.id), []byte(c.to.addresses), []byte(c.to.macs), revision, gone}
	})
	if err != nil {
		return 0, false, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO managed_state (name, revision, forgotten) VALUES ($1, $2, 0) ON CONFLICT (name) DO UPDATE SET revision = excluded.revision`, stateName, revision)
	return revision, err == nil, err
}

// forget deletes rows of hosts that went before a time.
func forget(ctx context.Context, tx *database.Tx, before time.Time) (n int64, err error) {
	var last int64
	if err := tx.QueryRow(ctx, `SELECT COALESCE(MAX(revision), 0) FROM managed_hosts WHERE gone_us > 0 AND gone_us < $1`, database.Micros(before)).Scan(&last); err != nil || last == 0 {
		return 0, err
	}
	if n, err = tx.Exec(ctx, `DELETE FROM managed_hosts WHERE gone_us > 0 AND gone_us < $1`, database.Micros(before)); err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `UPDATE managed_state SET forgotten = $1 WHERE name = $2 AND forgotten < $3`, last, stateName, last)
	return n, err
}
