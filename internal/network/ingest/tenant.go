package ingest

import (
	"context"
	"fmt"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/store"
)

// GiveTap makes a tenant the owner of a tap, and of what it reported: how long
// its rows are kept goes by the tenant.
func (s *Service) GiveTap(ctx context.Context, name, tenant string) error {
	if !store.ValidTenant(tenant) {
		return badTenant(tenant)
	}
	n, err := s.db.Exec(ctx, `UPDATE taps SET tenant = $1 WHERE name = $2`, tenant, database.Text(name))
	if err != nil {
		return fmt.Errorf("giving tap %q to %s: %w", name, tenant, err)
	}
	if n == 0 {
		return errs.New(errs.NotFound, "there is no tap %q: `rind tap add %s` makes it", name, name)
	}
	s.tokens.forget(network.TapID(name))
	return nil
}

func badTenant(name string) error {
	return errs.New(errs.Invalid, "%.64q is no name for a tenant: use 1 to 63 of a-z, 0-9, _ and -", name)
}

// Owners are the taps of each tenant, those that were revoked too: their rows
// are there still.
func (s *Service) Owners(ctx context.Context) (store.Owners, error) {
	rows, err := s.db.Query(ctx, `SELECT tenant, name FROM taps ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("reading whose the taps are: %w", err)
	}
	defer rows.Close()
	out := store.Owners{store.DefaultTenant: nil}
	for rows.Next() {
		var tenant, name string
		if err := rows.Scan(&tenant, &name); err != nil {
			return nil, fmt.Errorf("reading whose the taps are: %w", err)
		}
		out[tenant] = append(out[tenant], name)
	}
	return out, rows.Err()
}
