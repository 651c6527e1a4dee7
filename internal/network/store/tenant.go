package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
)

// DefaultTenant is whose a tap is that was given to nobody else.
const DefaultTenant = "default"

// ValidTenant says whether a text can name a tenant: a name as taps have.
func ValidTenant(name string) bool { return network.TapID(name).Valid() }

// Tenant is how long, and up to what size, the rows of one tenant's taps are
// kept.
type Tenant struct {
	Tenant   string        `yaml:"tenant" help:"name of the tenant, as rind tap list shows it"`
	Keep     time.Duration `yaml:"keep" help:"how long the rows of its taps are kept (0: as those of others)"`
	MaxBytes config.Size   `yaml:"max_bytes" help:"what the rows of its taps may take; beyond it the oldest of each kind go before their time (0: any size)"`
	Kinds    []Keep        `yaml:"kinds" help:"kinds of records of which it keeps more or less"`
}

func (t Tenant) kind(name string) Keep {
	for _, one := range t.Kinds {
		if one.Kind == name {
			return one
		}
	}
	return Keep{}
}

// tenant returns what is configured of a tenant.
func (r Retention) tenant(name string) Tenant {
	for _, t := range r.Tenants {
		if t.Tenant == name {
			return t
		}
	}
	return Tenant{Tenant: name}
}

// OfTenant is how long the rows of a kind are kept that a tenant's taps sent.
func (r Retention) OfTenant(tenant string, k Kind) time.Duration {
	t := r.tenant(tenant)
	switch own := t.kind(k.Name).Keep; {
	case own > 0:
		return own
	case t.Keep > 0:
		return t.Keep
	}
	return r.Of(k)
}

// longest is how long any tenant's rows of a kind are kept: so long partitions
// stay.
func (r Retention) longest(k Kind) time.Duration {
	keep := r.Of(k)
	for _, t := range r.Tenants {
		keep = max(keep, r.OfTenant(t.Tenant, k))
	}
	return keep
}

// LongestFlows is how old a report may be of any tenant's tap.
func (r Retention) LongestFlows() time.Duration {
	flows, _ := FindKind(KindFlows)
	return r.longest(flows)
}

// FlowsOf is how old a report may be of a tenant's tap.
func (r Retention) FlowsOf(tenant string) time.Duration {
	flows, _ := FindKind(KindFlows)
	return r.OfTenant(tenant, flows)
}

func (r Retention) validateTenants() error {
	seen := map[string]bool{}
	for _, t := range r.Tenants {
		switch {
		case !ValidTenant(t.Tenant):
			return errs.New(errs.Invalid, "retention.tenants: %.64q is no name for a tenant: use 1 to 63 of a-z, 0-9, _ and -", t.Tenant)
		case seen[t.Tenant]:
			return errs.New(errs.Invalid, "retention.tenants names %q twice", t.Tenant)
		case t.Keep != 0 && t.Keep < time.Hour:
			return errs.New(errs.Invalid, "retention.tenants keeps the rows of %q for %s: choose at least 1h", t.Tenant, t.Keep)
		case t.MaxBytes < 0:
			return errs.New(errs.Invalid, "retention.tenants gives %q a negative max_bytes", t.Tenant)
		}
		seen[t.Tenant] = true
		if err := validateKinds("retention.tenants["+t.Tenant+"].kinds", t.Kinds, func(Kind) bool { return true }); err != nil {
			return err
		}
	}
	return nil
}

// Owners are the taps of each tenant, sorted.
type Owners map[string][]string

// mark names the set of a tenant's taps: when it changes, what was trimmed is
// looked at again.
func (o Owners) mark(tenant string) string {
	sum := sha256.Sum256([]byte(strings.Join(o[tenant], "\n")))
	return hex.EncodeToString(sum[:8])
}

// Trim is a partition from which the rows of one tenant are to go, since they
// are kept for less than the others', or take more than they may.
type Trim struct {
	Partition string
	Tenant    string
}

// Subject is how a task names it.
func (t Trim) Subject() string { return t.Partition + " " + t.Tenant }

// ParseTrim reads what Subject made.
func ParseTrim(subject string) (Trim, error) {
	partition, tenant, ok := strings.Cut(subject, " ")
	if !ok || !ValidTenant(tenant) {
		return Trim{}, errs.New(errs.Invalid, "%.100q names no partition and tenant", subject)
	}
	return Trim{partition, tenant}, nil
}

// Trims returns what is to be trimmed and was not yet. As a partition is
// dropped once all of its rows are too old, it is trimmed once all of a
// tenant's are, and once its hours have been summed: the sums are kept for
// longer.
func (s *Store) Trims(ctx context.Context, r Retention, owners Owners) ([]Trim, error) {
	uses, err := s.tenantUses(ctx, r, owners)
	if err != nil {
		return nil, err
	}
	var out []Trim
	for _, u := range uses {
		for _, k := range u.Kinds {
			for _, one := range k.due {
				summed, err := s.isSummed(ctx, one)
				if err != nil {
					return nil, err
				}
				if summed {
					out = append(out, Trim{one.Name, u.Tenant})
				}
			}
		}
	}
	return out, nil
}

// isSummed says whether the hours of a partition have been summed, with the
// late rows that there are.
func (s *Store) isSummed(ctx context.Context, one Partition) (bool, error) {
	next, err := s.firstUnrolled(ctx)
	if err != nil || one.toUS > next {
		return false, err
	}
	var late int64
	err = s.db.QueryRow(ctx, `SELECT COUNT(*) FROM dirty_minutes WHERE minute_us >= $1 AND minute_us < $2`, one.fromUS, one.toUS).Scan(&late)
	return late == 0, err
}

// Trim deletes the rows of a tenant's taps from a partition, ten minutes of
// them in a transaction, and notes that it did. It may be called again.
func (s *Store) Trim(ctx context.Context, t Trim, owners Owners) (int64, error) {
	all, err := partitions(ctx, s.db, "", math.MinInt64, math.MaxInt64)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(all, func(p Partition) bool { return p.Name == t.Partition })
	if i < 0 {
		return 0, nil // it was dropped meanwhile
	}
	one, p := all[i], partOf(all[i].Table)
	if p.kind == "" {
		return 0, errs.New(errs.Invalid, "%s holds sums, which are of all taps", one.Name)
	}
	if err := s.beginTrim(ctx, t); err != nil {
		return 0, err
	}
	var total int64
	for part := range slices.Chunk(owners[t.Tenant], maxTapsAtOnce) {
		n, err := s.trim(ctx, p, one, part)
		total += n
		if err != nil {
			return total, fmt.Errorf("deleting the rows of the tenant %s from %s: %w", t.Tenant, one.Name, err)
		}
	}
	_, err = s.db.Exec(ctx, `UPDATE trimmed SET taps = $1 WHERE partition = $2 AND tenant = $3 AND taps = ''`, owners.mark(t.Tenant), t.Partition, t.Tenant)
	return total, err // one that got rows meanwhile is trimmed again
}

// beginTrim notes that a partition has lost rows: its hours are not summed anew.
func (s *Store) beginTrim(ctx context.Context, t Trim) error {
	_, err := s.db.Exec(ctx, `INSERT INTO trimmed (partition, tenant, taps) VALUES ($1, $2, '') ON CONFLICT (partition, tenant) DO UPDATE SET taps = ''`, t.Partition, t.Tenant)
	if err != nil {
		return fmt.Errorf("noting that rows of %s go from %s: %w", t.Tenant, t.Partition, err)
	}
	return nil
}

// maxTapsAtOnce bounds the parameters of a statement.
const maxTapsAtOnce = 500

func (s *Store) trim(ctx context.Context, p part, one Partition, taps []string) (total int64, err error) {
	for at := int64(math.MinInt64); ; {
		next, err := s.nextRow(ctx, p, one, at)
		if err != nil || next == nil {
			return total, err
		}
		at = *next + slice.Microseconds()
		n, err := s.trimSlice(ctx, p, one, taps, *next, at)
		total += n
		if err != nil {
			return total, err
		}
	}
}

// nextRow is the time of the first row at a time or after it.
func (s *Store) nextRow(ctx context.Context, p part, one Partition, at int64) (*int64, error) {
	var next *int64
	err := s.db.QueryRow(ctx, "SELECT MIN("+p.column+") FROM "+one.Name+" WHERE "+p.column+" >= $1", at).Scan(&next)
	return next, err
}

// trimSlice deletes the rows of [from, to), and takes them off the counts. Both
// see the same rows, or neither is done.
func (s *Store) trimSlice(ctx context.Context, p part, one Partition, taps []string, from, to int64) (n int64, err error) {
	var w where
	w.add(" FROM "+one.Name+" WHERE "+p.column+" >= ? AND "+p.column+" < ? AND tap IN (", from, to)
	for i, tap := range taps {
		if i > 0 {
			w.add(", ")
		}
		w.add("?", tap)
	}
	w.add(")")
	of := w.sql.String()
	dayOf := p.column + " - " + p.column + " % 86400000000"
	err = s.db.Tx(ctx, func(tx *database.Tx) error {
		rows, err := tx.Query(ctx, "SELECT "+dayOf+" AS day_us, tap, COUNT(*)"+of+" GROUP BY 1, 2", w.args...)
		if err != nil {
			return err
		}
		gone, err := scanAll(rows, func(row scanner) (d tapDay, err error) {
			err = row.Scan(&d.us, &d.tap, &d.rows)
			return d, err
		})
		if err != nil || len(gone) == 0 {
			return err
		}
		if n, err = tx.Exec(ctx, "DELETE"+of, w.args...); err != nil {
			return err
		}
		for _, d := range gone {
			n -= d.rows
		}
		if n != 0 {
			return errs.New(errs.Conflict, "%d rows came meanwhile", n)
		}
		n, err = uncount(ctx, tx, p.kind, gone)
		return err
	})
	return n, err
}

// tapDay is how many rows of a tap and a day went.
type tapDay struct {
	us   int64
	tap  string
	rows int64
}

// uncount takes rows off the counts by kind, day and tap, with their share of
// the size, and says how many. They are sorted as those of reports are, so that
// neither waits for the other in a circle.
func uncount(ctx context.Context, tx *database.Tx, kind string, gone []tapDay) (total int64, err error) {
	slices.SortFunc(gone, func(a, b tapDay) int { return cmp.Or(cmp.Compare(a.us, b.us), strings.Compare(a.tap, b.tap)) })
	for _, d := range gone {
		if _, err := tx.Exec(ctx, `UPDATE kind_days SET size_bytes = size_bytes - size_bytes * CASE WHEN seen > $1 THEN $1 ELSE seen END / CASE WHEN seen > 0 THEN seen ELSE 1 END,
			seen = seen - CASE WHEN seen > $1 THEN $1 ELSE seen END WHERE kind = $2 AND tap = $3 AND day_us = $4`, d.rows, kind, d.tap, d.us); err != nil {
			return total, fmt.Errorf("counting rows by kind and day: %w", err)
		}
		total += d.rows
	}
	return total, nil
}
