package postgres

import (
	"context"
	"database/sql"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// readings make a connection one that only reads, and that gives up a query by
// itself: so that neither a slow query nor a client that is gone without a word
// takes anything from who writes. Queries of tables with many partitions are
// planned for their range each time. Sums of what no sum was made of yet get
// the memory that spares them the disk. They are statements and no start
// parameters, since poolers refuse unknown ones.
const readings = `SET default_transaction_read_only = on; SET statement_timeout = 30000; SET plan_cache_mode = force_custom_plan; SET jit = off;
	SELECT set_config('work_mem', '16MB', FALSE) WHERE pg_size_bytes(current_setting('work_mem')) < 16777216`

// share divides the connections among those that write and those that read.
func share(conns int) (writers, readers int) {
	readers = conns / 2
	return conns - readers, readers
}

// newReader makes the pool of connections that only read.
func newReader(cfg *pgx.ConnConfig, conns int) *sql.DB {
	pool := stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(onlyRead), stdlib.OptionShouldPing(func(_ context.Context, p stdlib.ShouldPingParams) bool {
		return p.IdleDuration > pingAfter
	}))
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(min(conns, 4))
	pool.SetConnMaxIdleTime(maxIdleTime)
	pool.SetConnMaxLifetime(maxLifetime)
	return pool
}

func onlyRead(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.PgConn().Exec(ctx, readings).ReadAll()
	if _, answered := errors.AsType[*pgconn.PgError](err); answered {
		return nil // a server that does not know them serves all the same
	}
	return err
}
