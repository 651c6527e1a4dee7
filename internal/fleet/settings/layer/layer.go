// Package layer keeps the layers of settings in the database.
package layer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/settings"
	"github.com/rind-project/rind/internal/fleet/settings/compile"
	"github.com/rind-project/rind/internal/fleet/target"
)

// Migrations are the tables of this room. The row of settings_state is what all
// changes lock, and counts them.
func Migrations() []database.Migration {
	return []database.Migration{{Name: "settings/0001_layers", SQL: `
CREATE TABLE settings_layers (
	name TEXT PRIMARY KEY,
	place BIGINT NOT NULL,
	target TEXT NOT NULL,
	data TEXT NOT NULL,
	changed_by TEXT NOT NULL,
	changed_at BIGINT NOT NULL
);
CREATE TABLE settings_state (
	id BIGINT PRIMARY KEY,
	revision BIGINT NOT NULL
);
INSERT INTO settings_state (id, revision) VALUES (1, 0);
`}}
}

// Groups are the named groups that the targets of layers may name.
type Groups interface {
	Revision(context.Context) (int64, error)
	Targets(context.Context) (map[string]string, error)
}

// Deps are what a store needs.
type Deps struct {
	DB      *database.DB
	Groups  Groups
	Now     func() time.Time
	Changed func() // is told after each change; optional
}

// Store keeps the layers. Use New.
type Store struct{ deps Deps }

// New makes a store.
func New(deps Deps) *Store { return &Store{deps} }

const columns = `name, place, target, data, changed_by, changed_at`

// List returns all layers in their order, without their data.
func (s *Store) List(ctx context.Context) ([]settings.Layer, error) {
	all, err := s.all(ctx)
	for i := range all {
		all[i].Data = ""
	}
	return all, err
}

func (s *Store) all(ctx context.Context) ([]settings.Layer, error) {
	rows, err := s.deps.DB.Query(ctx, `SELECT `+columns+` FROM settings_layers ORDER BY place, name`)
	if err != nil {
		return nil, fmt.Errorf("reading the layers of settings: %w", err)
	}
	defer rows.Close()
	all := []settings.Layer{}
	for rows.Next() {
		l, err := scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the layers of settings: %w", err)
	}
	return all, nil
}

func scan(from func(...any) error) (settings.Layer, error) {
	var l settings.Layer
	var changed int64
	if err := from(&l.Name, &l.Order, &l.Target, &l.Data, &l.By, &changed); err != nil {
		return l, fmt.Errorf("reading a layer of settings: %w", err)
	}
	l.Bytes, l.Changed = len(l.Data), database.FromMicros(changed)
	return l, nil
}

// Show returns one layer with its data as it was written.
func (s *Store) Show(ctx context.Context, name string) (settings.Layer, error) {
	l, err := scan(s.deps.DB.QueryRow(ctx, `SELECT `+columns+` FROM settings_layers WHERE name = $1`, database.Text(name)).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return l, noLayer(name)
	}
	return l, err
}

func noLayer(name string) error {
	return errs.New(errs.NotFound, "there is no layer of settings %.80q; rind settings layer list shows all", name)
}

// Set makes a layer, or replaces it as a whole.
func (s *Store) Set(ctx context.Context, l settings.Layer) (settings.Layer, error) {
	if err := settings.CheckName(l.Name); err != nil {
		return l, err
	}
	if l.Order < 0 || l.Order > settings.MaxOrder {
		return l, errs.New(errs.Invalid, "the order of a layer is from 0 to %d, not %d", settings.MaxOrder, l.Order)
	}
	groups, err := s.deps.Groups.Targets(ctx)
	if err != nil {
		return l, err
	}
	if _, err := compile.Target(l.Target, groups); err != nil {
		return l, err
	}
	if _, err := settings.Parse(l.Data); err != nil {
		return l, err
	}
	l.Changed, l.Bytes = s.deps.Now().UTC().Truncate(time.Microsecond), len(l.Data)
	err = s.change(ctx, func(tx *database.Tx) error {
		var others int
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM settings_layers WHERE name <> $1`, l.Name).Scan(&others); err != nil {
			return fmt.Errorf("counting the layers: %w", err)
		}
		if others >= settings.MaxLayers {
			return errs.New(errs.TooLarge, "there are %d layers of settings, which is the limit; delete one with rind settings layer delete", others)
		}
		_, err := tx.Exec(ctx, `INSERT INTO settings_layers (`+columns+`) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (name) DO UPDATE SET place = excluded.place, target = excluded.target, data = excluded.data,
			changed_by = excluded.changed_by, changed_at = excluded.changed_at`,
			l.Name, l.Order, l.Target, l.Data, database.Text(l.By), database.Micros(l.Changed))
		return err
	})
	return l, err
}

// Delete removes a layer.
func (s *Store) Delete(ctx context.Context, name string) error {
	return s.change(ctx, func(tx *database.Tx) error {
		n, err := tx.Exec(ctx, `DELETE FROM settings_layers WHERE name = $1`, database.Text(name))
		if err == nil && n == 0 {
			err = noLayer(name)
		}
		return err
	})
}

// change runs a change of the layers under the lock.
func (s *Store) change(ctx context.Context, fn func(*database.Tx) error) error {
	err := s.deps.DB.Tx(ctx, func(tx *database.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE settings_state SET revision = revision + 1 WHERE id = 1`); err != nil {
			return fmt.Errorf("locking the layers: %w", err)
		}
		return fn(tx)
	})
	if err == nil && s.deps.Changed != nil {
		s.deps.Changed()
	}
	return err
}

// Check refuses groups with which the target of a layer could not be answered.
func (s *Store) Check(ctx context.Context, groups target.Groups) error {
	all, err := s.all(ctx)
	if err != nil {
		return err
	}
	for _, l := range all {
		expr, err := target.Parse(l.Target)
		if err == nil {
			expr, err = expr.Resolve(groups)
		}
		if err == nil {
			err = compile.CheckTarget(expr)
		}
		if err != nil {
			return errs.New(errs.Conflict, "the layer %s of settings could not be answered after that: %w", l.Name, err)
		}
	}
	return nil
}

// At counts the changes of layers and groups.
func (s *Store) At(ctx context.Context) (int64, error) {
	var n int64
	if err := s.deps.DB.QueryRow(ctx, `SELECT revision FROM settings_state WHERE id = 1`).Scan(&n); err != nil {
		return 0, fmt.Errorf("reading the revision of the layers: %w", err)
	}
	groups, err := s.deps.Groups.Revision(ctx)
	return n + groups, err
}

// Load returns everything that settings are compiled from. What is read may be
// newer than At says, never older.
func (s *Store) Load(ctx context.Context) (compile.State, error) {
	at, err := s.At(ctx)
	if err != nil {
		return compile.State{}, err
	}
	groups, err := s.deps.Groups.Targets(ctx)
	if err != nil {
		return compile.State{}, err
	}
	all, err := s.all(ctx)
	return compile.State{At: at, Groups: groups, Layers: all}, err
}
