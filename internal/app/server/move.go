package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/app/daemon"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/move"
	"github.com/rind-project/rind/internal/base/database/postgres"
	"github.com/rind-project/rind/internal/base/database/sqlite"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/node/cluster"
)

func databaseCommand(load *daemon.Loader) *cobra.Command {
	mv := &cobra.Command{
		Use: "move URL", Short: "Move everything to another database, from SQLite to PostgreSQL or back", Args: cobra.ExactArgs(1),
		Long: "move copies every row of the database that the configuration names into an empty one, compares\n" +
			"the two, and says what to put into the configuration. Every server is stopped meanwhile; taps and\n" +
			"hosts keep what they have to say. A move that was interrupted goes on where it was when the same\n" +
			"command is given again. What was moved from is left as it is. The bus and the keys stay in data_dir.\n\n" +
			"URL is postgres://user:password@host/name, or sqlite for the file rind.db in data_dir.",
		Example: "  rind database move postgres://rind:secret@db.example.net/rind\n  rind database move sqlite --config /etc/rind/rind.yaml",
		RunE: func(c *cobra.Command, args []string) error {
			cfg, _, _, err := loadConfig(load, c.ErrOrStderr(), true)
			if err != nil {
				return err
			}
			ctx, stop := daemon.SignalContext(c.Context())
			defer stop()
			return moveDatabase(ctx, cfg, args[0], c.Flag("output").Value.String(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	cmd := &cobra.Command{Use: "database", Short: "The database of a server that is stopped", Example: mv.Example}
	bindServerFlags(load, cmd)
	cmd.AddCommand(mv)
	return cmd
}

// movedOut is a move that was done.
type movedOut struct {
	Tables []move.Result   `json:"tables"`
	Rows   int64           `json:"rows"`
	Engine database.Engine `json:"engine"` // where they are now
}

// moveDatabase moves the database of the configuration to a target, and says
// so in a format.
func moveDatabase(ctx context.Context, cfg Config, target, format string, out, progress io.Writer) (err error) {
	unlock, err := lockDataDir(cfg.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	from, source, err := openSource(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := openTarget(ctx, cfg, target)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if to.Engine() == from.Engine() {
		return errs.New(errs.Invalid, "the database is %s already: use its own tools to copy it to another place", from.Engine())
	}
	if err := move.Prepare(ctx, to, source); err != nil {
		return err
	}
	if err := database.Migrate(ctx, to, Migrations()); err != nil {
		return fmt.Errorf("making the schema in the target: %w", err)
	}
	results, err := move.Run(ctx, from, to, move.Options{Skip: passing, Whole: wholeTable, Moved: func(table string, rows int64) {
		if rows > 0 {
			fmt.Fprintf(progress, "%s: %d rows\n", table, rows)
		}
	}})
	if err != nil {
		return err
	}
	done := movedOut{Tables: results, Engine: to.Engine()}
	for _, r := range results {
		done.Rows += r.Rows
	}
	return done.show(format, out)
}

func (m movedOut) show(format string, out io.Writer) error {
	if done, err := inFormat(format, out, m); done {
		return err
	}
	for _, r := range m.Tables {
		fmt.Fprintf(out, "%-28s %12d rows  %s\n", r.Table, r.Rows, r.Checksum)
	}
	fmt.Fprintf(out, "\n%d rows in %d tables are moved, and the same on both sides. Now put into the configuration of every server\n\n  database:\n    url: %s\n\nand start them.\n",
		m.Rows, len(m.Tables), hint(m.Engine))
	return nil
}

// hint is what database.url becomes; the password is left to be filled in.
func hint(to database.Engine) string {
	if to == database.SQLite {
		return `""`
	}
	return "postgres://…   # the URL that the command was given"
}

// passing are the tables that say how things are in one database, and mean
// nothing in another: who lives, who holds what, how a table is parted, and
// which hosts are managed, which masters write anew.
var passing = []string{"nodes", "leases", "fences", "partitions", "managed_hosts", "managed_state"}

var partition = regexp.MustCompile(`_(p[0-9]{8,10}|rest|before)$`)

// wholeTable is the table of which a table is a partition by its name.
func wholeTable(name string) string { return partition.ReplaceAllString(name, "") }

// openSource opens what the configuration names, and makes sure that nobody
// uses it.
func openSource(ctx context.Context, cfg Config) (*database.DB, string, error) {
	source := filepath.Join(cfg.DataDir, "rind.db")
	if cfg.Database.URL == "" {
		if _, err := os.Stat(source); errors.Is(err, fs.ErrNotExist) {
			return nil, "", errs.New(errs.NotFound, "there is no database %s to move from: name the server's configuration with --config, or its folder with --data", source)
		}
	} else if u, err := url.Parse(cfg.Database.URL); err == nil {
		source = u.Host + u.Path
	}
	db, err := openDatabase(ctx, cfg)
	if err != nil {
		return nil, "", err
	}
	if err := database.Migrate(ctx, db, Migrations()); err != nil {
		return nil, "", errors.Join(fmt.Errorf("bringing the database's schema up to date: %w", err), db.Close())
	}
	if err := unused(ctx, db); err != nil {
		return nil, "", errors.Join(err, db.Close())
	}
	return db, source, nil
}

// unused says which servers use a database, if any: nodes by their heartbeats,
// and a master without that role by the lease that it holds.
func unused(ctx context.Context, db *database.DB) error {
	asks := cluster.New(cluster.Config{Heartbeat: 10 * time.Second}, cluster.Deps{DB: db})
	all, err := asks.Members(ctx)
	if err != nil {
		return err
	}
	leases, err := asks.Leases(ctx)
	if err != nil {
		return err
	}
	var hosts []string
	for _, i := range all {
		if i.Alive {
			hosts = append(hosts, i.Host)
		}
	}
	for _, l := range leases {
		if host, guest := cluster.GuestHost(l.Holder); guest && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	if len(hosts) > 0 {
		return errs.New(errs.Conflict, "servers use this database (%s): stop every one first; one that was killed counts as gone after half a minute", strings.Join(hosts, ", "))
	}
	return nil
}

func openTarget(ctx context.Context, cfg Config, target string) (*database.DB, error) {
	if target == "sqlite" {
		return sqlite.Open(ctx, filepath.Join(cfg.DataDir, "rind.db"))
	}
	if !strings.HasPrefix(target, "postgres://") && !strings.HasPrefix(target, "postgresql://") {
		return nil, errs.New(errs.Invalid, "the target is written as postgres://user@host/name, or as sqlite")
	}
	return postgres.Open(ctx, target)
}
