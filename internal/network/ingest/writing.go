package ingest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
)

// writing is one transaction with the reports of many taps. What it sets is
// good when the transaction was committed.
type writing struct {
	s     *Service
	tx    *database.Tx
	now   time.Time
	group []*item

	outcomes []outcome                    // of each report of the group
	taps     map[network.TapID]*reporting // that have reports in the group
	fresh    []*item                      // what is written, in the order of the group
	copied   time.Duration                // that the rows took
	shared   []*reporting                 // taps whose token two machines use
	stale    []network.TapID              // taps whose token is not what was known here
}

// reporting is a tap's row as it is, and as the transaction makes it.
type reporting struct {
	name    network.TapID
	revoked bool
	hash    []byte
	reports int64
	newest  *network.Report // of the group
	sender
}

// run does all statements, always in the same order: identities, rows, names,
// taps. Within each they are sorted, so that two transactions wait for one
// another instead of locking each other out.
func (w *writing) run(ctx context.Context) error {
	w.outcomes = make([]outcome, len(w.group))
	if err := w.readTaps(ctx); err != nil {
		return fmt.Errorf("reading the taps of %d reports: %w", len(w.group), err)
	}
	first := w.admitted()
	if err := w.insertIdentities(ctx, first); err != nil {
		return fmt.Errorf("inserting the identities of %d reports: %w", len(w.group), err)
	}
	if len(w.fresh) == 0 {
		return nil
	}
	if err := w.findShared(ctx); err != nil {
		return fmt.Errorf("looking for taps that share a token: %w", err)
	}
	began := time.Now()
	reports := make([]*network.Report, len(w.fresh))
	for i, it := range w.fresh {
		reports[i] = it.Report
	}
	if err := w.s.store.InsertAll(ctx, w.tx, reports); err != nil {
		return err
	}
	w.copied = time.Since(began)
	if err := w.updateTaps(ctx); err != nil {
		return fmt.Errorf("noting %d reports at their taps: %w", len(w.fresh), err)
	}
	return nil
}

// readTaps reads the rows of the group's taps.
func (w *writing) readTaps(ctx context.Context) error {
	w.taps = map[network.TapID]*reporting{}
	for _, it := range w.group {
		w.taps[it.Tap] = nil
	}
	names, args := w.names()
	rows, err := w.tx.Query(ctx, `SELECT name, hash, revoked_us, last_report_us, last_boot, switches, switched_us FROM taps WHERE name IN `+names, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var t reporting
		var revoked, last, switched int64
		if err := rows.Scan(&t.name, &t.hash, &revoked, &last, &t.boot, &t.switches, &switched); err != nil {
			return err
		}
		t.revoked, t.last, t.switched = revoked != 0, database.FromMicros(last), database.FromMicros(switched)
		w.taps[t.name] = &t
	}
	return rows.Err()
}

// names are the taps of the group, sorted, as a list in SQL.
func (w *writing) names() (list string, args []any) {
	for _, name := range slices.Sorted(maps.Keys(w.taps)) {
		args = append(args, string(name))
	}
	return tuples(1, 1, len(args)), args
}

// admitted answers what is not of a tap that may report, so that a revocation
// or a new token on one node holds on all at once, and what stands in the
// group twice. It returns the place of the first report with each identity.
func (w *writing) admitted() map[network.Identity]int {
	first := map[network.Identity]int{}
	for i, it := range w.group {
		t := w.taps[it.Tap]
		switch {
		case t == nil || t.revoked:
			w.stale = append(w.stale, it.Tap)
			w.outcomes[i].refused = authRefusal(errs.New(errs.Forbidden, "tap %q is revoked: `rind tap add %s` gives it a new token", it.Tap, it.Tap))
		case it.token != nil && !bytes.Equal(it.token, t.hash):
			w.stale = append(w.stale, it.Tap)
			w.outcomes[i].refused = authRefusal(errs.New(errs.Unauthorized, wrongToken))
		default:
			if _, twice := first[it.Identity]; !twice {
				first[it.Identity] = i
			}
		}
	}
	return first
}

// insertIdentities writes the identities and finds which reports are new.
func (w *writing) insertIdentities(ctx context.Context, first map[network.Identity]int) error {
	if len(first) == 0 {
		return nil
	}
	ids := slices.SortedFunc(maps.Keys(first), func(a, b network.Identity) int {
		return cmp.Or(cmp.Compare(a.Tap, b.Tap), cmp.Compare(a.Boot, b.Boot), cmp.Compare(a.Sequence, b.Sequence))
	})
	var args []any
	for _, id := range ids {
		args = append(args, string(id.Tap), id.Boot, int64(id.Sequence), database.Micros(w.group[first[id]].End), database.Micros(w.now))
	}
	rows, err := w.tx.Query(ctx, `INSERT INTO reports (tap, boot, sequence, end_us, received_us) VALUES `+tuples(1, len(ids), 5)+`
		ON CONFLICT (tap, boot, sequence) DO NOTHING RETURNING tap, boot, sequence`, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id network.Identity
		var sequence int64
		if err := rows.Scan(&id.Tap, &id.Boot, &sequence); err != nil {
			return err
		}
		id.Sequence = uint64(sequence)
		w.outcomes[first[id]].fresh = true
	}
	for i, it := range w.group {
		if w.outcomes[i].fresh {
			w.fresh = append(w.fresh, it)
			t := w.taps[it.Tap]
			t.reports++
			if t.newest == nil || !it.End.Before(t.newest.End) {
				t.newest = it.Report
			}
		}
	}
	return rows.Err()
}

// updateTaps notes the reports in the rows of their taps. It is last, since it
// locks those rows until the commit. A retried old report does not replace the
// health of a newer one.
func (w *writing) updateTaps(ctx context.Context) error {
	for name, t := range w.taps {
		if t == nil || t.reports == 0 {
			delete(w.taps, name)
		}
	}
	list, names := w.names()
	if w.tx.Engine() == database.PostgreSQL && len(names) > 1 {
		if _, err := w.tx.Exec(ctx, `SELECT 1 FROM taps WHERE name IN `+list+` ORDER BY name FOR NO KEY UPDATE`, names...); err != nil {
			return err
		}
	}
	args := []any{database.Micros(w.now)}
	for _, name := range slices.Sorted(maps.Keys(w.taps)) {
		t := w.taps[name]
		health, err := json.Marshal(t.newest.Health)
		if err != nil {
			return fmt.Errorf("encoding the health of tap %q: %w", name, err)
		}
		args = append(args, string(name), t.reports, database.Micros(t.newest.End), string(health), t.boot, t.switches, database.Micros(t.switched))
	}
	_, err := w.tx.Exec(ctx, `UPDATE taps SET reports = reports + v.column2, last_report_us = $1,
		health = CASE WHEN last_end_us <= v.column3 THEN v.column4 ELSE health END,
		last_end_us = CASE WHEN last_end_us < v.column3 THEN v.column3 ELSE last_end_us END,
		last_boot = v.column5, switches = v.column6, switched_us = v.column7
		FROM (VALUES `+tuples(2, len(names), 7, "TEXT", "BIGINT", "BIGINT", "TEXT", "TEXT", "BIGINT", "BIGINT")+`) AS v WHERE taps.name = v.column1`, args...)
	return err
}

// tuples writes parameters from a number on as rows of columns, with their
// types where the engine cannot know them.
func tuples(first, rows, columns int, types ...string) string {
	var sql strings.Builder
	for n := range rows * columns {
		switch column := n % columns; {
		case column > 0:
			sql.WriteByte(',')
		case n > 0:
			sql.WriteString("),(")
		default:
			sql.WriteByte('(')
		}
		if types == nil {
			fmt.Fprintf(&sql, "$%d", first+n)
		} else {
			fmt.Fprintf(&sql, "CAST($%d AS %s)", first+n, types[n%columns])
		}
	}
	sql.WriteByte(')')
	return sql.String()
}
