package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/blob"
)

// Migrations are the tables of this room. The row of blob_state is what those
// lock who ask for room.
func Migrations() []database.Migration {
	return []database.Migration{{Name: "blob/0001_files", SQL: `
CREATE TABLE blob_files (
	owner TEXT NOT NULL,
	sha256 TEXT NOT NULL,
	generation TEXT NOT NULL,
	name TEXT NOT NULL,
	size BIGINT NOT NULL,
	stored BIGINT NOT NULL,
	complete BOOLEAN NOT NULL,
	created_by TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	PRIMARY KEY (owner, sha256)
);
CREATE INDEX blob_files_expires ON blob_files (expires_at);
CREATE TABLE blob_state (
	id BIGINT PRIMARY KEY,
	changes BIGINT NOT NULL
);
INSERT INTO blob_state (id, changes) VALUES (1, 0);
`}}
}

// Owner is under whom a file is kept: people, or the peel that brought it.
type Owner string

// People is the owner of what people bring, for any peel that knows its hash.
const People Owner = ""

// OfPeel is the owner of what a peel brings.
func OfPeel(id fleet.PeelID) Owner { return Owner(id) }

// file is a row.
type file struct {
	owner      Owner
	sum        string
	generation string // a token in the subjects of its chunks, new whenever the file is begun anew
	size       int64
	stored     int // chunks
	complete   bool
	created    time.Time
	expires    time.Time
}

// subject is where a chunk is in the stream. No peel can write there.
func (f *file) subject(n int) string { return f.prefix() + strconv.Itoa(n) }

func (f *file) prefix() string {
	if f.owner == People {
		return "blob.s." + f.sum + "." + f.generation + "."
	}
	return "blob.p." + string(f.owner) + "." + f.sum + "." + f.generation + "."
}

func (f *file) progress() blob.Progress {
	return blob.Progress{Next: f.stored, Chunks: blob.Chunks(f.size), Complete: f.complete}
}

const columns = `owner, sha256, generation, size, stored, complete, created_at, expires_at`

func scan(from func(...any) error) (*file, error) {
	var f file
	var created, expires int64
	err := from(&f.owner, &f.sum, &f.generation, &f.size, &f.stored, &f.complete, &created, &expires)
	f.created, f.expires = database.FromMicros(created), database.FromMicros(expires)
	return &f, err
}

type rowQuerier interface {
	QueryRow(ctx context.Context, q string, args ...any) *sql.Row
}

// find reads a file's row; it is nil when there is none.
func find(ctx context.Context, db rowQuerier, owner Owner, sum string) (*file, error) {
	f, err := scan(db.QueryRow(ctx, `SELECT `+columns+` FROM blob_files WHERE owner = $1 AND sha256 = $2`, string(owner), sum).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for a file: %w", err)
	}
	return f, nil
}

// get reads a file that has to be there.
func (s *Store) get(ctx context.Context, owner Owner, sum string) (*file, error) {
	if err := blob.CheckSum(sum); err != nil {
		return nil, err
	}
	f, err := find(ctx, s.deps.DB, owner, sum)
	if err != nil {
		return nil, err
	}
	if f == nil || s.deps.Now().After(f.expires) {
		return nil, gone(sum)
	}
	return f, nil
}

func gone(sum string) error {
	return errs.New(errs.NotFound, "there is no file %s here, or not any more; bring it again with rind cp", short(sum))
}

func short(sum string) string { return sum[:min(12, len(sum))] }

// Begin says that a file is to come, and returns how far it is already.
func (s *Store) Begin(ctx context.Context, owner Owner, b blob.Begin, by string) (blob.Progress, error) {
	if err := b.Check(); err != nil {
		return blob.Progress{}, err
	}
	if s.deps.Room != nil {
		if err := s.deps.Room(); err != nil {
			return blob.Progress{}, err
		}
	}
	var f *file
	err := s.deps.DB.Tx(ctx, func(tx *database.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE blob_state SET changes = changes + 1 WHERE id = 1`); err != nil {
			return fmt.Errorf("locking the files: %w", err)
		}
		var err error
		if f, err = find(ctx, tx, owner, b.SHA256); err != nil {
			return err
		}
		now := s.deps.Now()
		if f != nil && f.size == b.Size && now.Before(f.created.Add(s.cfg.MaxAge)) && (!f.complete || s.there(ctx, f)) {
			_, err := tx.Exec(ctx, `UPDATE blob_files SET changed_at = $1, expires_at = $2 WHERE owner = $3 AND sha256 = $4`,
				database.Micros(now), database.Micros(now.Add(s.cfg.MaxAge)), string(owner), b.SHA256)
			return err
		}
		if err := s.hasRoom(ctx, tx, owner, b); err != nil {
			s.metrics.files.WithLabelValues("refused").Inc()
			return err
		}
		f = &file{owner: owner, sum: b.SHA256, generation: strings.ReplaceAll(database.NewID(), "-", ""), size: b.Size}
		s.metrics.files.WithLabelValues("begun").Inc()
		_, err = tx.Exec(ctx, `INSERT INTO blob_files (owner, sha256, generation, name, size, stored, complete, created_by, created_at, changed_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, 0, FALSE, $6, $7, $8, $9)
			ON CONFLICT (owner, sha256) DO UPDATE SET generation = excluded.generation, name = excluded.name, size = excluded.size, stored = 0, complete = FALSE,
			created_by = excluded.created_by, created_at = excluded.created_at, changed_at = excluded.changed_at, expires_at = excluded.expires_at`,
			string(owner), b.SHA256, f.generation, database.Text(b.Name), b.Size, database.Text(by),
			database.Micros(now), database.Micros(now), database.Micros(now.Add(s.cfg.MaxAge)))
		return err
	})
	if err != nil {
		return blob.Progress{}, err
	}
	return f.progress(), nil
}

// there reports whether the last chunk of a file is in the stream, which
// somebody may have emptied.
func (s *Store) there(ctx context.Context, f *file) bool {
	n := blob.Chunks(f.size) - 1
	if n < 0 {
		return true
	}
	_, stream, _ := s.opened()
	_, err := stream.GetLastMsgForSubject(ctx, f.subject(n))
	return err == nil
}

// hasRoom refuses a file that is over a limit.
func (s *Store) hasRoom(ctx context.Context, tx *database.Tx, owner Owner, b blob.Begin) error {
	_, _, room := s.opened()
	all, _, err := taken(ctx, tx, `owner <> $1 OR sha256 <> $2`, string(owner), b.SHA256)
	if err != nil {
		return err
	}
	mine, files, err := taken(ctx, tx, `owner = $1 AND sha256 <> $2`, string(owner), b.SHA256)
	if err != nil {
		return err
	}
	peels, _, err := taken(ctx, tx, `owner <> '' AND (owner <> $1 OR sha256 <> $2)`, string(owner), b.SHA256)
	if err != nil {
		return err
	}
	ofPeel, most := owner != People, int64(maxFiles)
	if ofPeel {
		most = maxPeelFiles
	}
	if files >= most {
		return errs.New(errs.TooLarge, "%d files are kept already, which is the limit; they leave after %s (files.max_age)", files, s.cfg.MaxAge)
	}
	for _, l := range []struct {
		applies     bool
		have, limit int64
		whose       string
	}{
		{ofPeel, mine, int64(s.cfg.PeelMaxBytes), "what this peel brings (files.peel_max_bytes)"},
		{ofPeel, peels, room / 2, "what peels bring (half of files.max_bytes)"},
		{true, all, room, "files on their way (files.max_bytes)"},
	} {
		if l.applies && l.have+b.Size > l.limit {
			return errs.New(errs.TooLarge, "the file has %d bytes, and %d of at most %d are taken by %s; files leave after %s (files.max_age)", b.Size, l.have, l.limit, l.whose, s.cfg.MaxAge)
		}
	}
	return nil
}

func taken(ctx context.Context, tx *database.Tx, where string, args ...any) (bytes, files int64, err error) {
	err = tx.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT), COUNT(*) FROM blob_files WHERE `+where, args...).Scan(&bytes, &files)
	if err != nil {
		err = fmt.Errorf("adding up the files: %w", err)
	}
	return bytes, files, err
}
