package database

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

// Migration is one step of a room's schema. Once released it never changes; a
// correction is a further migration.
type Migration struct {
	// Name is unique: the room, a number and a word, as "access/0001_users".
	// A room's numbers rise.
	Name string
	// SQL is the text for both engines. A statement ends with ";" at the end
	// of a line, and has no such end inside.
	SQL string
	// PostgreSQL replaces SQL on that engine when it is not empty. It is for
	// what only the dialect may do, such as partitions.
	PostgreSQL string
}

// text returns what the engine runs.
func (m Migration) text(e Engine) string {
	if e == PostgreSQL && m.PostgreSQL != "" {
		return m.PostgreSQL
	}
	return m.SQL
}

// checksum identifies the text, without regard to white space at line ends.
func (m Migration) checksum(e Engine) string {
	sum := sha256.Sum256([]byte(strings.Join(m.statements(e), "\n")))
	return hex.EncodeToString(sum[:])
}

// statements splits the text.
func (m Migration) statements(e Engine) []string {
	var all []string
	for s := range strings.SplitSeq(strings.ReplaceAll(m.text(e), "\r\n", "\n")+"\n", ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			all = append(all, s)
		}
	}
	return all
}

// room is the part of the name before the slash.
func room(name string) string {
	before, _, _ := strings.Cut(name, "/")
	return before
}

const createHistory = `CREATE TABLE IF NOT EXISTS schema_history (
	name TEXT PRIMARY KEY,
	checksum TEXT NOT NULL,
	applied_at BIGINT NOT NULL
)`

// Migrate brings the schema to the state that the migrations describe, in
// their order. Each runs in a transaction of its own, which holds the lock
// that keeps other processes from migrating, so that any number of them may
// start at once.
//
// It refuses, and changes nothing more, when a migration was applied with
// another text, or when a room that is in ms has migrations in the database
// that are not: then a newer Rind has been here. Rooms that are not in ms are
// left alone.
func Migrate(ctx context.Context, db *DB, ms []Migration) error {
	if err := checkList(db.Engine(), ms); err != nil {
		return err
	}
	for {
		more := false
		err := db.Tx(ctx, func(tx *Tx) (err error) {
			more, err = migrateOne(ctx, tx, ms)
			return err
		})
		switch {
		case IsDenied(err) && db.Engine() == PostgreSQL:
			return errs.New(errs.Invalid, "migrating the postgres database: its user lacks a right: %w; make the user the owner (ALTER DATABASE name OWNER TO user), "+
				"or let it make tables (GRANT CREATE, USAGE ON SCHEMA public TO user)", err)
		case err != nil:
			return fmt.Errorf("migrating the %s database: %w", db.Engine(), err)
		}
		if !more {
			return nil
		}
	}
}

// migrateOne applies the first migration that is missing and says whether
// there was one.
func migrateOne(ctx context.Context, tx *Tx, ms []Migration) (bool, error) {
	if lock := tx.dialect.LockMigrations(); lock != "" {
		if _, err := tx.Exec(ctx, lock); err != nil {
			return false, fmt.Errorf("waiting for another process that migrates: %w", err)
		}
	}
	if _, err := tx.Exec(ctx, createHistory); err != nil {
		return false, fmt.Errorf("making the table schema_history: %w", err)
	}
	applied, err := history(ctx, tx)
	if err != nil {
		return false, err
	}
	next, err := compare(tx.Engine(), ms, applied)
	if err != nil || next == nil {
		return false, err
	}
	for i, s := range next.statements(tx.Engine()) {
		if _, err := tx.Exec(ctx, s); err != nil {
			return false, fmt.Errorf("applying %s, statement %d: %w", next.Name, i+1, err)
		}
	}
	_, err = tx.Exec(ctx, `INSERT INTO schema_history (name, checksum, applied_at) VALUES ($1, $2, $3)`,
		next.Name, next.checksum(tx.Engine()), Micros(time.Now()))
	return true, err
}

// history returns the checksums of what was applied, by name.
func history(ctx context.Context, tx *Tx) (map[string]string, error) {
	rows, err := tx.Query(ctx, `SELECT name, checksum FROM schema_history`)
	if err != nil {
		return nil, fmt.Errorf("reading schema_history: %w", err)
	}
	defer func() { _ = rows.Close() }()
	applied := map[string]string{}
	for rows.Next() {
		var name, checksum string
		if err := rows.Scan(&name, &checksum); err != nil {
			return nil, fmt.Errorf("reading schema_history: %w", err)
		}
		applied[name] = checksum
	}
	return applied, rows.Err()
}

// compare returns the first migration that is missing, or what is wrong.
func compare(e Engine, ms []Migration, applied map[string]string) (*Migration, error) {
	known, rooms := map[string]bool{}, map[string]bool{}
	for _, m := range ms {
		known[m.Name], rooms[room(m.Name)] = true, true
	}
	for name := range applied {
		if rooms[room(name)] && !known[name] {
			return nil, errs.New(errs.Conflict, "the database has %q, which this version of rind does not know: a newer version has used it; "+
				"start that version, or restore the backup made before the update", name)
		}
	}
	var next *Migration
	gap := map[string]string{} // room → its first missing migration
	for i, m := range ms {
		sum, ok := applied[m.Name]
		switch {
		case !ok:
			if next == nil {
				next = &ms[i]
			}
			if gap[room(m.Name)] == "" {
				gap[room(m.Name)] = m.Name
			}
		case sum != m.checksum(e):
			return nil, errs.New(errs.Conflict, "%q was applied with another text than this version of rind has: the program or the database was altered; "+
				"start the version of rind that made the database, or restore a backup", m.Name)
		case gap[room(m.Name)] != "":
			return nil, errs.New(errs.Conflict, "%q was applied but %q before it was not: the database was altered; restore a backup",
				m.Name, gap[room(m.Name)])
		}
	}
	return next, nil
}

var migrationName = regexp.MustCompile(`^[a-z][a-z0-9_-]*/[0-9]{4}_[a-z0-9_]+$`)

// checkList refuses lists that a programmer got wrong.
func checkList(e Engine, ms []Migration) error {
	last := map[string]string{}
	for _, m := range ms {
		r := room(m.Name)
		switch {
		case !migrationName.MatchString(m.Name):
			return fmt.Errorf("migration %q: the name is not of the form room/0001_word", m.Name)
		case m.Name[len(r):][:5] <= last[r]:
			return fmt.Errorf("migration %q: its number does not rise above that of the one before it in the room", m.Name)
		case len(m.statements(e)) == 0:
			return fmt.Errorf("migration %q has no statement", m.Name)
		}
		last[r] = m.Name[len(r):][:5]
	}
	return nil
}
