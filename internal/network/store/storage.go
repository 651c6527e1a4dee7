package store

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/database"
)

// Storage is what the telemetry takes, and what goes next.
type Storage struct {
	Bytes    int64 // of all tables, indexes included
	MaxBytes int64 // that they may take; 0 is any size
	Database int64 // of the whole database, with what other rooms keep
	Tables   []TableStorage
}

// TableStorage is what one kind, or one table of sums, takes.
type TableStorage struct {
	Kind       string // "" for sums and names
	Table      string
	Bytes      int64
	MaxBytes   int64 // 0 is any size
	Partitions int
	Keep       time.Duration
	Next       *Drop // what goes next; nil when there is nothing yet
	closed     []Partition
}

// Drop is a partition that is about to be dropped.
type Drop struct {
	Partition string
	From, To  time.Time // From is zero when it holds everything older
	At        time.Time // when its retention ends, or now, when there is too much
	Bytes     int64
	Size      bool // because of the size that is allowed, not of its age
}

// storageAge is how old an answer of Storage may be.
const storageAge = time.Minute

// lastStorage is the last answer of Storage.
type lastStorage struct {
	mu sync.Mutex
	at time.Time
	Storage
}

// Storage says what the tables take, and what is about to be dropped, and when.
// It may be a minute old.
func (s *Store) Storage(ctx context.Context) (Storage, error) {
	s.last.mu.Lock()
	defer s.last.mu.Unlock()
	if age := s.now().Sub(s.last.at); age >= 0 && age < storageAge {
		return s.last.Storage, nil
	}
	all, err := s.measure(ctx)
	if err == nil {
		s.last.Storage, s.last.at = all, s.now()
	}
	return all, err
}

// measure measures the tables.
func (s *Store) measure(ctx context.Context) (Storage, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	out := Storage{MaxBytes: int64(s.retention.MaxBytes)}
	all, err := partitions(ctx, s.db, "", math.MinInt64, math.MaxInt64)
	if err != nil {
		return out, err
	}
	sizes, err := s.sizes(ctx, all)
	if err != nil {
		return out, fmt.Errorf("measuring the tables: %w", err)
	}
	if out.Database, err = s.databaseSize(ctx); err != nil {
		return out, fmt.Errorf("measuring the database: %w", err)
	}
	now := s.now().UnixMicro()
	for _, p := range parts() {
		t := TableStorage{Kind: p.kind, Table: p.table, Bytes: sizes[p.table] + sizes[p.rest()], Keep: p.keep(s.retention), MaxBytes: s.retention.MaxOf(p.kind)}
		for _, one := range all {
			if one.Table != p.table {
				continue
			}
			one.size = sizes[one.Name]
			t.Bytes += one.size
			t.Partitions++
			if one.toUS <= now {
				t.closed = append(t.closed, one)
			}
			if t.Next == nil {
				t.Next = &Drop{Partition: one.Name, From: one.From, To: one.To, At: one.To.Add(t.Keep), Bytes: one.size}
			}
		}
		out.Tables = append(out.Tables, t)
		out.Bytes += t.Bytes
	}
	for _, t := range plain() {
		out.Tables = append(out.Tables, TableStorage{Table: t, Bytes: sizes[t], Keep: s.keepOf(t)})
		out.Bytes += sizes[t]
	}
	for _, one := range s.surplus(s.retention, out) {
		i := slices.IndexFunc(out.Tables, func(t TableStorage) bool { return t.Table == one.Table })
		if next := out.Tables[i].Next; next != nil && next.Partition == one.Name {
			next.At, next.Size = s.now(), true
		}
	}
	return out, nil
}

// plain are the tables that have no partitions.
func plain() []string {
	return []string{"dns_names", "tls_names", "traffic_hours", "top_hours", "top_minutes", "ledger_hours"}
}

func (s *Store) keepOf(table string) time.Duration {
	switch table {
	case "dns_names", "tls_names":
		return s.retention.Names
	case "traffic_hours":
		return s.retention.Traffic
	case "top_hours":
		return s.retention.Hosts
	case "ledger_hours":
		return s.retention.Ledgers
	}
	return topMinutes
}

type sized struct {
	name  string
	bytes int64
}

func scanSized(row scanner) (t sized, err error) {
	err = row.Scan(&t.name, &t.bytes)
	return t, err
}

// sizes returns what each table takes, with its indexes. On SQLite measuring
// reads every page, so that partitions that are closed are measured once.
func (s *Store) sizes(ctx context.Context, all []Partition) (map[string]int64, error) {
	out := map[string]int64{}
	add := func(list []sized, err error) error {
		for _, t := range list {
			out[t.name] += t.bytes
		}
		return err
	}
	if s.db.Engine() == database.PostgreSQL {
		return out, add(list(ctx, s.db, `SELECT c.relname::text, pg_total_relation_size(c.oid) FROM pg_class c
			WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'`, nil, scanSized))
	}
	known := map[string]bool{}
	for _, one := range all {
		if one.size > 0 {
			known[one.Name], out[one.Name] = true, one.size
		}
	}
	measure := plain()
	for _, p := range parts() {
		measure = append(measure, p.rest())
	}
	for _, one := range all {
		if !known[one.Name] {
			measure = append(measure, one.Name)
		}
	}
	for _, name := range measure {
		err := add(list(ctx, s.db, `SELECT m.tbl_name, CAST(SUM(d.pgsize) AS BIGINT) FROM sqlite_master m JOIN dbstat d ON d.name = m.name AND d.aggregate = TRUE
			WHERE m.tbl_name = $1 AND m.type IN ('table', 'index') GROUP BY 1`, []any{name}, scanSized))
		if err != nil {
			return nil, err
		}
	}
	for _, one := range all {
		if !known[one.Name] && one.indexed && out[one.Name] > 0 {
			if _, err := s.db.Exec(ctx, `UPDATE partitions SET size_bytes = $1 WHERE name = $2`, out[one.Name], one.Name); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func (s *Store) databaseSize(ctx context.Context) (n int64, err error) {
	text := `SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`
	if s.db.Engine() == database.PostgreSQL {
		text = `SELECT pg_database_size(current_database())`
	}
	err = s.db.QueryRow(ctx, text).Scan(&n)
	return n, err
}
