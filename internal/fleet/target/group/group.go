// Package group keeps the named groups: a name for a target, which N@ stands
// for wherever a target is written. They are asked of the database each time,
// so that every master means the same hosts the moment a group has changed.
package group

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/target"
)

// MaxGroups bounds how many groups there are.
const MaxGroups = 2000

// Migrations are the tables of this room. The row of group_state is what all
// changes lock, and counts them.
func Migrations() []database.Migration {
	return []database.Migration{{Name: "group/0001_groups", SQL: `
CREATE TABLE group_groups (
	name TEXT PRIMARY KEY,
	target TEXT NOT NULL,
	changed_by TEXT NOT NULL,
	changed_at BIGINT NOT NULL
);
CREATE TABLE group_state (
	id BIGINT PRIMARY KEY,
	revision BIGINT NOT NULL
);
INSERT INTO group_state (id, revision) VALUES (1, 0);
`}}
}

// Deps are what a store needs.
type Deps struct {
	DB  *database.DB
	Now func() time.Time
	// Check is asked before a change is kept; whoever else names groups
	// refuses it there. Changed is told after it. Both are optional.
	Check   func(context.Context, target.Groups) error
	Changed func()
}

// Store keeps the groups. Use New.
type Store struct{ deps Deps }

// New makes a store.
func New(deps Deps) *Store { return &Store{deps} }

// List returns all groups by name.
func (s *Store) List(ctx context.Context) ([]fleet.Group, error) {
	rows, err := s.deps.DB.Query(ctx, `SELECT name, target, changed_by, changed_at FROM group_groups ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("reading the groups: %w", err)
	}
	return scan(rows)
}

func scan(rows *sql.Rows) ([]fleet.Group, error) {
	defer rows.Close()
	all := []fleet.Group{}
	for rows.Next() {
		var g fleet.Group
		var changed int64
		if err := rows.Scan(&g.Name, &g.Target, &g.By, &changed); err != nil {
			return nil, fmt.Errorf("reading the groups: %w", err)
		}
		g.Changed = database.FromMicros(changed)
		all = append(all, g)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the groups: %w", err)
	}
	return all, nil
}

// Show returns one group.
func (s *Store) Show(ctx context.Context, name string) (fleet.Group, error) {
	g := fleet.Group{Name: name}
	var changed int64
	err := s.deps.DB.QueryRow(ctx, `SELECT target, changed_by, changed_at FROM group_groups WHERE name = $1`, database.Text(name)).Scan(&g.Target, &g.By, &changed)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return g, errs.New(errs.NotFound, "there is no group %.80q; rind group list shows all", name)
	case err != nil:
		return g, fmt.Errorf("reading the group %s: %w", name, err)
	}
	g.Changed = database.FromMicros(changed)
	return g, nil
}

// Find returns the target that a group stands for, for the masters.
func (s *Store) Find(ctx context.Context, name string) (text string, ok bool, err error) {
	g, err := s.Show(ctx, name)
	if errs.Is(err, errs.NotFound) {
		return "", false, nil
	}
	return g.Target, err == nil, err
}

// Revision counts the changes.
func (s *Store) Revision(ctx context.Context) (int64, error) {
	var n int64
	if err := s.deps.DB.QueryRow(ctx, `SELECT revision FROM group_state WHERE id = 1`).Scan(&n); err != nil {
		return 0, fmt.Errorf("reading the revision of the groups: %w", err)
	}
	return n, nil
}

// Targets returns what all groups stand for, by name.
func (s *Store) Targets(ctx context.Context) (map[string]string, error) {
	all, err := s.List(ctx)
	return byName(all), err
}

func byName(all []fleet.Group) map[string]string {
	out := make(map[string]string, len(all))
	for _, g := range all {
		out[g.Name] = g.Target
	}
	return out
}

// Lookup makes groups of a map.
func Lookup(all map[string]string) target.Groups {
	return func(name string) (string, bool) {
		text, ok := all[name]
		return text, ok
	}
}

// Set makes a group, or changes what it stands for. Errors about the target
// point at the column.
func (s *Store) Set(ctx context.Context, name, text, by string) (fleet.Group, error) {
	if err := target.CheckGroupName(name); err != nil {
		return fleet.Group{}, err
	}
	expr, err := target.Parse(text)
	if err != nil {
		return fleet.Group{}, err
	}
	now := s.deps.Now().UTC().Truncate(time.Microsecond)
	err = s.change(ctx, func(tx *database.Tx, all map[string]string) error {
		if _, known := all[name]; !known && len(all) >= MaxGroups {
			return errs.New(errs.TooLarge, "there are %d groups, which is the limit; delete one with rind group delete", len(all))
		}
		all[name] = text
		// First by itself, so that an error points at the column.
		if _, err := expr.Resolve(Lookup(all)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO group_groups (name, target, changed_by, changed_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (name) DO UPDATE SET target = excluded.target, changed_by = excluded.changed_by, changed_at = excluded.changed_at`,
			name, text, database.Text(by), database.Micros(now))
		return err
	})
	if err != nil {
		return fleet.Group{}, err
	}
	return fleet.Group{Name: name, Target: text, By: by, Changed: now}, nil
}

// Delete removes a group that nobody names.
func (s *Store) Delete(ctx context.Context, name string) error {
	return s.change(ctx, func(tx *database.Tx, all map[string]string) error {
		if _, known := all[name]; !known {
			return errs.New(errs.NotFound, "there is no group %.80q; rind group list shows all", name)
		}
		delete(all, name)
		_, err := tx.Exec(ctx, `DELETE FROM group_groups WHERE name = $1`, name)
		return err
	})
}

// change runs a change of the groups under the lock. fn leaves in the map what
// the groups are afterwards; when something that names groups could not be
// answered then, nothing is changed.
func (s *Store) change(ctx context.Context, fn func(tx *database.Tx, all map[string]string) error) error {
	err := s.deps.DB.Tx(ctx, func(tx *database.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE group_state SET revision = revision + 1 WHERE id = 1`); err != nil {
			return fmt.Errorf("locking the groups: %w", err)
		}
		rows, err := tx.Query(ctx, `SELECT name, target, changed_by, changed_at FROM group_groups`)
		if err != nil {
			return fmt.Errorf("reading the groups: %w", err)
		}
		before, err := scan(rows)
		if err != nil {
			return err
		}
		all := byName(before)
		if err := fn(tx, all); err != nil {
			return err
		}
		if err := answerable(all); err != nil {
			return err
		}
		if s.deps.Check == nil {
			return nil
		}
		return s.deps.Check(ctx, Lookup(all))
	})
	if err == nil && s.deps.Changed != nil {
		s.deps.Changed()
	}
	return err
}

// answerable refuses groups of which one cannot be resolved.
func answerable(all map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		expr, err := target.Parse("N@" + name)
		if err == nil {
			_, err = expr.Resolve(Lookup(all))
		}
		if err != nil {
			return errs.New(errs.Conflict, "the group %s could not be answered after that: %w", name, err)
		}
	}
	return nil
}
