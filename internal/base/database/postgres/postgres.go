// Package postgres opens a PostgreSQL database as a database.DB.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
)

// The pool's limits. A URL may set another number of connections with
// pool_max_conns, and another time to connect with connect_timeout.
const (
	maxConns       = 16
	connectTimeout = 10 * time.Second
	hostTimeout    = 3 * time.Second // when several hosts are named: the next one waits
	maxIdleTime    = 5 * time.Minute
	maxLifetime    = time.Hour
	minVersion     = 130000
	// A connection that was idle for so long is asked whether it lives before
	// it is used, so that a restart of the server costs nobody an error.
	pingAfter = 50 * time.Millisecond
)

// Options say which database to open.
type Options struct {
	URL    string // of the primary, or of several hosts of which one is
	Read   string // of a standby that answers reads which may be late; optional
	Listen string // for LISTEN, where URL leads through a pooler; optional
}

// Open connects to the database that the URL names
// (postgres://user:password@host:port/name?sslmode=…) and checks that it can
// serve. No message holds the password. A URL may name several hosts
// (host1:5432,host2:5432): the one that takes writes is used, and looked for
// again after a failover.
func Open(ctx context.Context, rawURL string) (*database.DB, error) {
	return OpenAll(ctx, Options{URL: rawURL})
}

// OpenAll connects as Open does, and to what else the options name.
func OpenAll(ctx context.Context, opts Options) (*database.DB, error) {
	cfg, conns, err := parse("database.url", opts.URL)
	if err != nil {
		return nil, err
	}
	listen := cfg
	if opts.Listen != "" {
		if listen, _, err = parse("database.listen_url", opts.Listen); err != nil {
			return nil, err
		}
	}
	var read *pgx.ConnConfig
	late := 0
	if opts.Read != "" {
		if read, late, err = parse("database.read_url", opts.Read); err != nil {
			return nil, err
		}
		read.ValidateConnect = nil // a standby is what is wanted
	}
	conns, readers := share(conns)
	pool := newPool(cfg, conns)
	if err := probe(ctx, pool, cfg); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	db := database.New(pool, newReader(cfg, readers), dialect{listen: listen}).WithIdle(idleConns(conns))
	if read != nil {
		db.WithReplica(newPool(read, late)) // it may be away: reads then go to the primary
	}
	return db, nil
}

// Pool opens a bare pool, for tests that look at a server or do to it what
// nothing else may. Its connections are to any server, a standby as well.
func Pool(rawURL string) (*sql.DB, error) {
	cfg, conns, err := parse("database.url", rawURL)
	if err != nil {
		return nil, err
	}
	cfg.ValidateConnect = nil
	return newPool(cfg, conns), nil
}

func idleConns(conns int) int { return min(conns, 4) }

func newPool(cfg *pgx.ConnConfig, conns int) *sql.DB {
	pool := stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(guard), stdlib.OptionShouldPing(func(_ context.Context, p stdlib.ShouldPingParams) bool {
		return p.IdleDuration > pingAfter
	}))
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(idleConns(conns))
	pool.SetConnMaxIdleTime(maxIdleTime)
	pool.SetConnMaxLifetime(maxLifetime)
	return pool
}

// guards make the server notice soon that a client is gone without a word, as
// behind a firewall that cuts it off. Until then its transaction would hold
// the identities of reports that other nodes are offered meanwhile. They are
// statements and no start parameters, since poolers refuse unknown ones.
const guards = `SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;
	SET tcp_user_timeout = 30000; SET idle_in_transaction_session_timeout = 60000`

func guard(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.PgConn().Exec(ctx, guards).ReadAll()
	if _, answered := errors.AsType[*pgconn.PgError](err); answered {
		return nil // a server that does not know them serves all the same
	}
	return err
}

// parse reads the URL. The errors of url.Parse and pgx quote what they were
// given, which holds the password, so only their nature is told.
func parse(key, rawURL string) (*pgx.ConnConfig, int, error) {
	const form = "it has the form postgres://user:password@host:5432/name?sslmode=verify-full"
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, 0, errs.New(errs.Invalid, "%s cannot be read: %s (special characters in the password are written as %%XX)", key, form)
	}
	if u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, 0, errs.New(errs.Invalid, "%s begins with neither postgres:// nor postgresql://: %s", key, form)
	}
	query, conns := u.Query(), maxConns
	if s := query.Get("pool_max_conns"); s != "" {
		if conns, err = strconv.Atoi(s); err != nil || conns < 2 || conns > 1000 {
			return nil, 0, errs.New(errs.Invalid, "pool_max_conns in %s is %q; it is a number from 2 to 1000", key, s)
		}
		query.Del("pool_max_conns")
		u.RawQuery = query.Encode()
	}
	cfg, err := pgx.ParseConfig(u.String())
	if err != nil {
		return nil, 0, errs.New(errs.Invalid, "%s cannot be used: %s; %s", key, strings.ReplaceAll(reason(err), "\n", " "), form)
	}
	several := strings.Contains(u.Host, ",") || strings.Contains(query.Get("host"), ",")
	if several && query.Get("target_session_attrs") == "" {
		cfg.ValidateConnect = takesWrites
	}
	if cfg.ConnectTimeout <= 0 {
		cfg.ConnectTimeout = connectTimeout
		if several {
			cfg.ConnectTimeout = hostTimeout
		}
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "rind"
	}
	return cfg, conns, nil
}

// takesWrites refuses a connection to a server that takes no writes, with the
// error that a write there would end with, so that database.IsReadOnly knows it.
func takesWrites(ctx context.Context, conn *pgconn.PgConn) error {
	err := pgconn.ValidateConnectTargetSessionAttrsReadWrite(ctx, conn)
	if errors.Is(err, pgconn.ErrReadOnlyConnection) {
		return readOnlyHost{err}
	}
	return err
}

// readOnlyHost is that a server takes no writes.
type readOnlyHost struct{ error }

// SQLState is read_only_sql_transaction.
func (readOnlyHost) SQLState() string { return "25006" }

// Unwrap is the error of the driver.
func (e readOnlyHost) Unwrap() error { return e.error }

// reason is what pgx found wrong, without the connection string.
func reason(err error) string {
	if inner := errors.Unwrap(err); inner != nil {
		if _, quotes := errors.AsType[*url.Error](inner); !quotes {
			return inner.Error()
		}
	}
	return "a part of it is malformed"
}

// where names the database in messages.
func where(cfg *pgx.ConnConfig) string {
	return fmt.Sprintf("%q on %s:%d as %q", cfg.Database, cfg.Host, cfg.Port, cfg.User)
}

// probe makes the first connection and checks what serves.
func probe(ctx context.Context, pool *sql.DB, cfg *pgx.ConnConfig) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(2+len(cfg.Fallbacks))*cfg.ConnectTimeout)
	defer cancel()
	var version int
	var encoding string
	var replica bool
	err := pool.QueryRowContext(ctx, `SELECT CAST(current_setting('server_version_num') AS BIGINT), current_setting('server_encoding'), pg_is_in_recovery()`).
		Scan(&version, &encoding, &replica)
	switch {
	case err != nil:
		return explain(cfg, err)
	case version < minVersion:
		return errs.New(errs.Invalid, "the PostgreSQL of %s is version %d; rind needs %d or later", where(cfg), version/10000, minVersion/10000)
	case encoding != "UTF8":
		return errs.New(errs.Invalid, "the database %s has the encoding %s; make one with createdb --encoding=UTF8 --template=template0", where(cfg), encoding)
	case replica:
		return errs.New(errs.Invalid, "the database %s is a read-only replica; name the primary in database.url", where(cfg))
	}
	return nil
}

// explain says what to do about a connection that failed.
func explain(cfg *pgx.ConnConfig, err error) error {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if database.IsReadOnly(err) {
		return errs.New(errs.Unavailable, "no host of the database %s takes writes, and those that answer are read-only replicas: promote one, or name the primary in database.url: %w", where(cfg), err)
	}
	if !ok {
		return errs.New(errs.Unavailable, "connecting to the database %s: %w; check that PostgreSQL runs there and that database.url names it", where(cfg), err)
	}
	switch pg.Code {
	case "28P01", "28000":
		return errs.New(errs.Invalid, "the database %s refuses this user or password (%s); correct database.url, or pg_hba.conf there", where(cfg), pg.Message)
	case "3D000":
		return errs.New(errs.Invalid, "the database %s does not exist; make it with: createdb --encoding=UTF8 --template=template0 %s", where(cfg), cfg.Database)
	case "42501":
		return errs.New(errs.Invalid, "the database %s refuses the user a right: %s", where(cfg), pg.Message)
	case "53300":
		return errs.New(errs.Unavailable, "the database %s has no free connection; raise its max_connections or lower pool_max_conns in database.url: %w", where(cfg), err)
	}
	return errs.New(errs.Unavailable, "connecting to the database %s: %w", where(cfg), err)
}
