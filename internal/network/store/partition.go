package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/database"
)

// Partition is a part of a table that holds the rows of a range of time.
type Partition struct {
	Name     string
	Table    string
	From, To time.Time // From is zero in the partition of rows from before there were any
	fromUS   int64
	toUS     int64
	indexed  bool
	size     int64 // measured after the partition was closed; 0: not yet
}

// before says whether it holds what was there before there were partitions.
func (p Partition) before() bool { return p.fromUS == math.MinInt64 }

// querier is a DB or a Tx.
type querier interface {
	Query(ctx context.Context, q string, args ...any) (*sql.Rows, error)
}

// partitions reads the partitions of a table, "" for all, that reach into
// [from, to), from old to new.
func partitions(ctx context.Context, db querier, table string, from, to int64) (_ []Partition, err error) {
	var w where
	w.add("SELECT name, parent, from_us, to_us, indexed, size_bytes FROM partitions WHERE from_us < ? AND to_us > ?", to, from)
	if table != "" {
		w.add(" AND parent = ?", table)
	}
	w.add(" ORDER BY parent, from_us")
	rows, err := db.Query(ctx, w.sql.String(), w.args...)
	if err != nil {
		return nil, fmt.Errorf("reading the list of partitions: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var out []Partition
	for rows.Next() {
		var p Partition
		if err := rows.Scan(&p.Name, &p.Table, &p.fromUS, &p.toUS, &p.indexed, &p.size); err != nil {
			return nil, fmt.Errorf("reading the list of partitions: %w", err)
		}
		if p.To = micros(p.toUS); !p.before() {
			p.From = micros(p.fromUS)
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

// free returns the range around a time that no partition covers, at most as
// wide as one, and whether there is any. The partitions are sorted.
func free(have []Partition, at int64, width time.Duration) (from, to int64, ok bool) {
	from = floor(at, width.Microseconds())
	to = from + width.Microseconds()
	for _, p := range have {
		switch {
		case p.fromUS <= at && at < p.toUS:
			return 0, 0, false
		case p.toUS <= at:
			from = max(from, p.toUS)
		default:
			to = min(to, p.fromUS)
		}
	}
	return from, to, true
}

// create makes a partition in the transaction.
func (s *Store) create(ctx context.Context, tx *database.Tx, p part, from, to int64, width time.Duration) (Partition, error) {
	made := Partition{Name: p.name(micros(from), width), Table: p.table, From: micros(from), To: micros(to), fromUS: from, toUS: to}
	statements, err := p.createSQLite(ctx, tx, made)
	if tx.Engine() == database.PostgreSQL {
		statements, err = p.createPostgres(made), nil
	}
	if err != nil {
		return made, err
	}
	for _, text := range statements {
		if _, err := tx.Exec(ctx, text); err != nil {
			return made, fmt.Errorf("making the partition %s: %w", made.Name, err)
		}
	}
	_, err = tx.Exec(ctx, `INSERT INTO partitions (name, parent, from_us, to_us) VALUES ($1, $2, $3, $4)`, made.Name, p.table, from, to)
	if err != nil {
		return made, fmt.Errorf("listing the partition %s: %w", made.Name, err)
	}
	return made, nil
}

// createPostgres makes a table, moves what the rest holds of its range, and
// attaches it. The table itself is locked first: a reader that had counted its
// partitions already and waited for the rest alone would then look into the
// rest, and miss what has moved. The rest is almost always empty. The indexes are the
// partition's own, so that more can follow later.
func (p part) createPostgres(n Partition) []string {
	q := strings.NewReplacer("{name}", n.Name, "{table}", p.table, "{rest}", p.rest(), "{at}", p.column,
		"{low}", fmt.Sprint(n.fromUS), "{high}", fmt.Sprint(n.toUS))
	all := []string{
		"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS)",
		"LOCK TABLE ONLY {table}, ONLY {rest} IN ACCESS EXCLUSIVE MODE",
		"WITH gone AS (DELETE FROM {rest} WHERE {at} >= {low} AND {at} < {high} RETURNING *) INSERT INTO {name} SELECT * FROM gone",
		"CREATE INDEX " + indexName("{name}", "time") + " ON {name} USING brin ({at}) WITH (pages_per_range = 16, autosummarize = on)",
	}
	for _, column := range p.live {
		all = append(all, "CREATE INDEX "+indexName("{name}", column)+` ON {name} ("`+column+`", {at})`)
	}
	all = append(all, "ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({low}) TO ({high})")
	for i := range all {
		all[i] = q.Replace(all[i])
	}
	return all
}

// createSQLite makes a table like the rest, and the view anew.
func (p part) createSQLite(ctx context.Context, tx *database.Tx, n Partition) ([]string, error) {
	if tx.Engine() != database.SQLite {
		return nil, nil
	}
	var like string
	if err := tx.QueryRow(ctx, `SELECT sql FROM sqlite_master WHERE type = 'table' AND name = $1`, p.rest()).Scan(&like); err != nil {
		return nil, fmt.Errorf("reading how %s was made: %w", p.rest(), err)
	}
	_, like, _ = strings.Cut(like, "(")
	all := []string{"CREATE TABLE " + n.Name + " (" + like}
	time := p.column
	if p.kind != "" {
		time += ", id"
	}
	all = append(all, "CREATE INDEX "+indexName(n.Name, "time")+" ON "+n.Name+" ("+time+")")
	for _, column := range p.live {
		all = append(all, "CREATE INDEX "+indexName(n.Name, column)+" ON "+n.Name+` ("`+column+`", `+p.column+")")
	}
	have, err := partitions(ctx, tx, p.table, math.MinInt64, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	return append(all, p.view(append(have, n))...), nil
}

// view makes SQLite's view over partitions anew.
func (p part) view(have []Partition) []string {
	return []string{"DROP VIEW IF EXISTS " + p.table, "CREATE VIEW " + p.table + " AS " + p.union(have)}
}

// maxUnion is how many tables SQLite takes in one query, with a reserve.
const maxUnion = 400

// union reads all the partitions on SQLite.
func (p part) union(have []Partition) string {
	var b strings.Builder
	b.WriteString("SELECT * FROM " + p.rest())
	for i := len(have) - 1; i >= max(0, len(have)-maxUnion); i-- {
		b.WriteString(" UNION ALL SELECT * FROM " + have[i].Name)
	}
	return b.String()
}

// source is what a query of a range reads from.
func (s *Store) source(ctx context.Context, db querier, p part, from, to int64) (string, error) {
	if s.db.Engine() == database.PostgreSQL {
		return p.table, nil
	}
	have, err := partitions(ctx, db, p.table, from, to)
	if err != nil {
		return "", err
	}
	if len(have) > maxUnion {
		return "", fmt.Errorf("reading %s: %d partitions at once are more than %d: choose a shorter range", p.table, len(have), maxUnion)
	}
	return "(" + p.union(have) + ") AS " + p.table, nil
}

// dayTables are the tables that rows of a range of time go to on SQLite.
type dayTables struct {
	rest string
	have []Partition
}

func (d dayTables) of(at int64) string {
	i, _ := slices.BinarySearchFunc(d.have, at, func(p Partition, at int64) int {
		if at < p.toUS {
			return 1
		}
		return -1
	})
	if i < len(d.have) && d.have[i].fromUS <= at {
		return d.have[i].Name
	}
	return d.rest
}

// ahead is how far in the future rows may lie that get a partition.
const ahead = 2 * day

// maxNew bounds the partitions that one transaction makes on SQLite; what is
// left goes to the rest.
const maxNew = 64

// dayTables returns the tables of [first, last], and makes those that are
// missing. A time that no retention covers has none, and goes to the rest.
func (s *Store) dayTables(ctx context.Context, tx *database.Tx, p part, first, last int64) (dayTables, error) {
	have, err := partitions(ctx, tx, p.table, math.MinInt64, math.MaxInt64)
	if err != nil {
		return dayTables{}, err
	}
	now, keep := s.now(), p.keep(s.retention)
	width := p.width(s.how, keep, dailyRows)
	first = max(first, now.Add(-keep-week).UnixMicro())
	last = min(last, now.Add(ahead).UnixMicro())
	news := 0
	for at := first; at <= last && news < maxNew; {
		from, to, ok := free(have, at, width)
		if !ok {
			i := slices.IndexFunc(have, func(p Partition) bool { return p.fromUS <= at && at < p.toUS })
			at = have[i].toUS
			continue
		}
		made, err := s.create(ctx, tx, p, from, to, width)
		if err != nil {
			return dayTables{}, err
		}
		have = append(have, made)
		slices.SortFunc(have, func(a, b Partition) int { return cmp.Compare(a.fromUS, b.fromUS) })
		at = to
		news++
	}
	return dayTables{p.rest(), have}, nil
}
