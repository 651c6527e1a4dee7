package database

import (
	"context"
	"database/sql"
	"time"
)

// State is how the database is, for people.
type State struct {
	Engine      Engine   `json:"engine"`
	Version     string   `json:"version"`
	Role        string   `json:"role"`                  // primary or standby
	SizeBytes   int64    `json:"size_bytes"`            // of the whole database
	Connections int      `json:"connections"`           // to the server, of anybody
	Max         int      `json:"max_connections"`       // that the server takes
	Standbys    []string `json:"standbys,omitempty"`    // that stream from it, with their lag
	ReadFrom    string   `json:"read_from,omitempty"`   // standby that answers reads: ok, or what is wrong
	PoolInUse   int      `json:"pool_in_use"`           // of this process
	PoolMax     int      `json:"pool_max"`              // likewise
	SkewMicros  int64    `json:"clock_skew_us"`         // the database's clock less ours
	Waited      int64    `json:"pool_waits"`            // calls that had to wait for a connection, since the start
	WaitTime    Duration `json:"pool_wait_ns,omitzero"` // how long they waited in all
}

// Duration is a time.Duration; it is nanoseconds in JSON.
type Duration = time.Duration

// State asks the database how it is.
func (db *DB) State(ctx context.Context) (State, error) {
	s, err := db.dialect.State(ctx, db.writer)
	s.Engine = db.Engine()
	stats := db.writer.Stats()
	s.PoolInUse, s.PoolMax, s.Waited, s.WaitTime = stats.InUse, stats.MaxOpenConnections, stats.WaitCount, stats.WaitDuration
	if db.replica != nil {
		s.ReadFrom = "ok"
		if e := db.replica.PingContext(ctx); e != nil {
			s.ReadFrom = "does not answer; reads go to the primary"
		}
	}
	return s, err
}

// Pool tells of the connections that write: how many are in use, of how many,
// and how often and for how long calls waited for one.
func (db *DB) Pool() sql.DBStats { return db.writer.Stats() }

// WithReplica adds a pool of connections to a standby, which serves the reads
// that may be a little late. The drivers call it before the database is used.
func (db *DB) WithReplica(pool *sql.DB) *DB {
	db.replica = pool
	return db
}

// WithIdle says how many idle connections the writer keeps, so that they can
// be dropped when they lead to a standby. The drivers call it.
func (db *DB) WithIdle(n int) *DB {
	db.idle = n
	return db
}

// QueryLate reads rows that may be a little late: from the standby when there
// is one and it answers, else as Query does. It suits what was written long
// ago, or is looked at by people, and never what decides about a right.
func (db *DB) QueryLate(ctx context.Context, q string, args ...any) (*sql.Rows, error) {
	if db.replica == nil {
		return db.Query(ctx, q, args...)
	}
	rows, err := db.replica.QueryContext(ctx, q, args...)
	if err == nil || ctx.Err() != nil {
		return rows, err
	}
	// The standby is gone, or ended the query for the sake of what it applies.
	return db.Query(ctx, q, args...)
}
