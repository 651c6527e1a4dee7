package acme

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/rind-project/rind/internal/base/database"
)

// Migrations returns the schema: encrypted values by name, and locks.
func Migrations() []database.Migration {
	return []database.Migration{{Name: "acme/0001_data", SQL: `
CREATE TABLE acme_data (
	name TEXT PRIMARY KEY,
	value BYTEA NOT NULL,
	size BIGINT NOT NULL,
	modified_us BIGINT NOT NULL
);
CREATE TABLE acme_locks (
	name TEXT PRIMARY KEY,
	holder TEXT NOT NULL,
	until_us BIGINT NOT NULL
);
`}}
}

// storage keeps what the library wants kept.
type storage struct {
	db   *database.DB
	seal seal

	mu   sync.Mutex
	held map[string]*held // locks, by name
}

var (
	_ certmagic.Storage          = (*storage)(nil)
	_ certmagic.LockLeaseRenewer = (*storage)(nil)
)

func newStorage(db *database.DB, key []byte) (*storage, error) {
	s, err := newSeal(key)
	if err != nil {
		return nil, err
	}
	return &storage{db: db, seal: s, held: map[string]*held{}}, nil
}

// String is what the library logs of it.
func (s *storage) String() string { return "database" }

// Store implements certmagic.Storage.
func (s *storage) Store(ctx context.Context, name string, value []byte) error {
	_, err := s.db.Exec(ctx, `INSERT INTO acme_data (name, value, size, modified_us) VALUES ($1, $2, $3, $4)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value, size = excluded.size, modified_us = excluded.modified_us`,
		name, s.seal.close(name, value), int64(len(value)), database.Micros(time.Now()))
	return wrap("storing", name, err)
}

// Load implements certmagic.Storage.
func (s *storage) Load(ctx context.Context, name string) ([]byte, error) {
	var value []byte
	if err := s.db.QueryRow(ctx, `SELECT value FROM acme_data WHERE name = $1`, name).Scan(&value); err != nil {
		return nil, wrap("loading", name, err)
	}
	return s.seal.open(name, value)
}

// Delete implements certmagic.Storage.
func (s *storage) Delete(ctx context.Context, name string) error {
	_, err := s.db.Exec(ctx, `DELETE FROM acme_data WHERE name = $1 OR name LIKE $2 ESCAPE '\'`, name, below(name))
	return wrap("deleting", name, err)
}

// Exists implements certmagic.Storage.
func (s *storage) Exists(ctx context.Context, name string) bool {
	_, err := s.Stat(ctx, name)
	return err == nil
}

// List implements certmagic.Storage.
func (s *storage) List(ctx context.Context, dir string, recursive bool) (_ []string, err error) {
	rows, err := s.db.Query(ctx, `SELECT name FROM acme_data WHERE name LIKE $1 ESCAPE '\' ORDER BY name`, below(dir))
	if err != nil {
		return nil, wrap("listing", dir, err)
	}
	defer func() { _ = rows.Close() }()
	seen := map[string]bool{}
	var all []string
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			all = append(all, name)
		}
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, wrap("listing", dir, err)
		}
		parts := strings.Split(strings.TrimPrefix(name, strings.TrimSuffix(dir, "/")+"/"), "/")
		if dir == "" {
			parts = strings.Split(name, "/")
		}
		for i := range parts {
			if i == 0 || recursive {
				add(path.Join(dir, path.Join(parts[:i+1]...)))
			}
		}
	}
	if err := rows.Err(); err != nil {
		return nil, wrap("listing", dir, err)
	}
	if len(all) == 0 {
		return nil, wrap("listing", dir, fs.ErrNotExist)
	}
	return all, nil
}

// Stat implements certmagic.Storage.
func (s *storage) Stat(ctx context.Context, name string) (certmagic.KeyInfo, error) {
	var size, modified int64
	err := s.db.QueryRow(ctx, `SELECT size, modified_us FROM acme_data WHERE name = $1`, name).Scan(&size, &modified)
	if err == nil {
		return certmagic.KeyInfo{Key: name, Size: size, Modified: database.FromMicros(modified), IsTerminal: true}, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return certmagic.KeyInfo{}, wrap("looking up", name, err)
	}
	var n int64
	if err := s.db.QueryRow(ctx, `SELECT COUNT(*) FROM acme_data WHERE name LIKE $1 ESCAPE '\'`, below(name)).Scan(&n); err != nil {
		return certmagic.KeyInfo{}, wrap("looking up", name, err)
	}
	if n == 0 {
		return certmagic.KeyInfo{}, wrap("looking up", name, fs.ErrNotExist)
	}
	return certmagic.KeyInfo{Key: name}, nil
}

// below is a pattern of every name under a folder.
func below(dir string) string {
	dir = strings.TrimSuffix(dir, "/")
	if dir == "" {
		return "%"
	}
	return strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(dir) + "/%"
}

// wrap says what was being done; a missing row is a missing file.
func wrap(doing, name string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = fs.ErrNotExist
	}
	return fmt.Errorf("%s the ACME value %q: %w", doing, name, err)
}
