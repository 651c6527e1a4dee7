package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/rind-project/rind/internal/cli/render"
	"github.com/rind-project/rind/internal/fleet/bus/archive"
)

func (s *shell) backupCommand() *cobra.Command {
	var keys bool
	cmd := &cobra.Command{
		Use: "backup FILE | -", Short: "Save everything that lasts into one file, while the server runs",
		Long: "backup saves every bucket that lasts with its history, and with SQLite the database, into FILE (- is the\n" +
			"standard output). The file is checked while it comes, takes its name when it is whole, and is readable by\n" +
			"its owner alone: hashes of passwords and hosts' secrets are in it. PostgreSQL is saved with pg_dump.\n\n" +
			"The fleet's keys are not in it: keep a copy of the folders keys and pki of data_dir apart, once, or add\n" +
			"--with-keys on the server itself. Whoever has the keys owns the fleet.\n\n" +
			"Exit codes: 0 all of it is there, 1 there is no backup, 2 a part is missing or not whole, and is named.\n" +
			"rind restore brings it back.",
		Example: "  rind backup /var/backups/rind-$(date +%F).backup\n" +
			"  rind backup --with-keys /root/rind.backup\n" +
			"  rind backup - | ssh vault 'cat > rind.backup'",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return s.backup(ctx, args[0], keys)
		},
	}
	cmd.Flags().BoolVar(&keys, "with-keys", false, "with the fleet's keys (on the server itself, as an administrator)")
	return cmd
}

// backupOut is what -o json says of a backup.
type backupOut struct {
	File  string         `json:"file"`
	Bytes int64          `json:"bytes"`
	Fleet string         `json:"fleet"`
	Parts []archive.Part `json:"parts"`
}

func (s *shell) backup(ctx context.Context, file string, keys bool) error {
	if file == "-" {
		if f, ok := s.opts.Out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			return errors.New("a backup is not for a terminal; name a file, or send the output on with > or |")
		}
		return s.pipeBackup(ctx, keys)
	}
	if _, err := os.Lstat(file); err == nil {
		return fmt.Errorf("%s is there already; name another file", file)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	part, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*.part") // mode 0600
	if err != nil {
		return err
	}
	out, err := s.receive(ctx, part, keys)
	if err == nil {
		err = part.Sync()
	}
	err = errors.Join(err, part.Close())
	if err == nil {
		err = os.Rename(part.Name(), file)
	}
	if err != nil {
		_ = os.Remove(part.Name()) // a leftover is known by its name
		return cutShort(ctx, err)
	}
	out.File = file
	if err := s.show(out, func() *render.Table { return partsTable(out.Parts) }); err != nil {
		return err
	}
	if keys {
		s.hint("the fleet's keys are in %s, which its owner alone can read (mode 0600): whoever has them owns the fleet", render.Line(file))
	}
	return s.backupOutcome(out)
}

// cutShort says that nothing is kept of what was interrupted.
func cutShort(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted; there is no backup")
	}
	return err
}

// pipeBackup writes to the standard output, and says to people beside it what
// was written.
func (s *shell) pipeBackup(ctx context.Context, keys bool) error {
	out, err := s.receive(ctx, s.opts.Out, keys)
	if err != nil {
		return cutShort(ctx, err)
	}
	if err := partsTable(out.Parts).Write(s.opts.Err, false); err != nil {
		return err
	}
	return s.backupOutcome(out)
}

// backupOutcome names what is not whole.
func (s *shell) backupOutcome(out backupOut) error {
	failed := false
	for _, p := range out.Parts {
		if p.Problem != "" {
			failed = true
			s.hint("%s is not in the backup: %s", render.Line(p.Name), render.Line(p.Problem))
		}
	}
	if failed {
		return exit(exitFailed)
	}
	return nil
}

// receive writes a backup as it comes, and reads it to see that it is whole.
func (s *shell) receive(ctx context.Context, w io.Writer, keys bool) (backupOut, error) {
	c, err := s.client(ctx)
	if err != nil {
		return backupOut{}, err
	}
	query := url.Values{}
	if keys {
		query.Set("keys", "true")
	}
	body, err := c.Bytes(ctx, "/backup", query)
	if err != nil {
		return backupOut{}, err
	}
	defer body.Close()
	n := &counter{w: w}
	header, trailer, err := archive.Check(io.TeeReader(body, n))
	if err != nil {
		return backupOut{}, fmt.Errorf("the backup did not come whole, and is not kept: %w", errors.Join(n.err, err))
	}
	return backupOut{Bytes: n.n, Fleet: header.Fleet, Parts: trailer.Parts}, nil
}

// counter counts what it passes on.
type counter struct {
	w   io.Writer
	n   int64
	err error
}

// Write implements io.Writer.
func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	c.err = err
	return n, err
}

func partsTable(parts []archive.Part) *render.Table {
	t := &render.Table{Columns: render.Columns("PART", "KIND", ">VALUES", ">BYTES", "RESULT"), Wide: true}
	for _, p := range parts {
		result, values := "saved", strconv.FormatInt(p.Values, 10)
		switch {
		case p.Problem != "":
			result = "NOT SAVED: " + p.Problem
		case p.Note != "":
			result = p.Note
		}
		if p.Kind == archive.KindDatabase {
			values = ""
		}
		t.Add(p.Name, p.Kind, values, render.Bytes(p.Bytes), result)
	}
	return t
}
