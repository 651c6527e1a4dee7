package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rind-project/rind/internal/base/database"
)

// Notify tells at the commit.
func (dialect) Notify() string { return `SELECT pg_notify($1, $2)` }

// quietFor is how long a listening connection may be silent before it is asked
// whether it lives: one that a firewall cut would be silent for ever.
const quietFor = 20 * time.Second

// Listen listens on a connection of its own.
func (d dialect) Listen(ctx context.Context, channel string, heard func(string)) error {
	conn, err := pgx.ConnectConfig(ctx, d.listen.Copy())
	if err != nil {
		return fmt.Errorf("connecting to listen: %w", err)
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(end)
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize()); err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	heard("")
	for {
		turn, cancel := context.WithTimeout(ctx, quietFor)
		n, err := conn.WaitForNotification(turn)
		cancel()
		switch {
		case err == nil:
			heard(n.Payload)
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			alive, cancel := context.WithTimeout(ctx, connectTimeout)
			err := conn.Ping(alive)
			cancel()
			if err != nil {
				return fmt.Errorf("listening: %w", err)
			}
		default:
			return fmt.Errorf("listening: %w", err)
		}
	}
}

// State asks for version, size, connections, standbys and the clock. A user
// without the right to see some of it sees the rest.
func (dialect) State(ctx context.Context, pool *sql.DB) (database.State, error) {
	s := database.State{Role: "primary"}
	var standby bool
	var now int64
	began := time.Now()
	err := pool.QueryRowContext(ctx, `SELECT current_setting('server_version'), pg_is_in_recovery(),
		CAST(current_setting('max_connections') AS BIGINT), (SELECT COUNT(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
		CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`).Scan(&s.Version, &standby, &s.Max, &s.Connections, &now)
	if err != nil {
		return s, fmt.Errorf("asking the database how it is: %w", err)
	}
	s.SkewMicros = now - began.Add(time.Since(began)/2).UnixMicro()
	if standby {
		s.Role = "standby"
	}
	if err := pool.QueryRowContext(ctx, `SELECT pg_database_size(current_database())`).Scan(&s.SizeBytes); err != nil {
		s.SizeBytes = 0 // the right may be missing
	}
	rows, err := pool.QueryContext(ctx, `SELECT COALESCE(NULLIF(application_name, ''), 'standby'), COALESCE(CAST(EXTRACT(EPOCH FROM replay_lag) * 1000 AS BIGINT), 0)
		FROM pg_stat_replication ORDER BY 1 LIMIT 20`)
	if err != nil {
		return s, fmt.Errorf("asking the database for its standbys: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		var lag int64
		if err := rows.Scan(&name, &lag); err != nil {
			return s, err
		}
		s.Standbys = append(s.Standbys, fmt.Sprintf("%s (%d ms behind)", name, lag))
	}
	return s, rows.Err()
}
