package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/app/daemon"
	"github.com/rind-project/rind/internal/cli"
	"github.com/rind-project/rind/internal/cli/render"
)

func restoreCommand(load *daemon.Loader) *cobra.Command {
	var how restoring
	var yes bool
	cmd := &cobra.Command{
		Use: "restore [FILE]", Short: "Bring back what is gone from the bus, on a server that is stopped", Args: cobra.MaximumNArgs(1),
		Long: "restore starts the bus of this server alone, makes the buckets that are gone, and fills them from a file\n" +
			"of rind backup. A bucket that is there is left alone, unless --replace names it. The file is read to its\n" +
			"end and checked before anything is changed. Then `rind server` starts again.\n\n" +
			"--database also brings back the SQLite database when there is none, --keys the keys of a backup that was\n" +
			"made with them. A bucket that no backup has is made without content by --empty: its content is lost.\n\n" +
			"Exit codes: 0 nothing is gone any more, 1 it could not be done, 2 a bucket is still gone, and is named.",
		Example: "  rind restore rind.backup --dry-run\n" +
			"  rind restore rind.backup --config /etc/rind/rind.yaml\n" +
			"  rind restore rind.backup --replace facts\n" +
			"  rind restore rind.backup --keys --database      # on a new machine\n" +
			"  rind restore --empty job-events --yes",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				how.file = args[0]
			}
			if err := how.complete(); err != nil {
				return err
			}
			cfg, _, logger, err := loadConfig(load, c.ErrOrStderr(), true)
			if err != nil {
				return err
			}
			if len(how.empty) > 0 && !yes && !how.dryRun {
				if err := confirm(c.InOrStdin(), c.ErrOrStderr(), how.empty); err != nil {
					return err
				}
			}
			ctx, stop := daemon.SignalContext(c.Context())
			defer stop()
			out, err := (&restore{restoring: how, cfg: cfg, log: logger, now: time.Now}).run(ctx)
			if err != nil && len(out.Results) > 0 {
				return errors.Join(showRestored(c, out), err)
			}
			if err != nil {
				return err
			}
			return finishRestored(c, out)
		},
	}
	bindServerFlags(load, cmd)
	f := cmd.Flags()
	f.StringSliceVar(&how.replace, "replace", nil, "bucket that is deleted and restored although it is there; sql is the database (repeatable)")
	f.StringSliceVar(&how.empty, "empty", nil, "bucket that is gone and is made without content (repeatable)")
	f.BoolVar(&how.database, "database", false, "bring back the SQLite database too, when there is none")
	f.BoolVar(&how.keys, "keys", false, "bring back the fleet's keys too, when there are none")
	f.BoolVar(&how.dryRun, "dry-run", false, "check the file and say what would be done")
	f.BoolVarP(&yes, "yes", "y", false, "do not ask before a bucket is made without content")
	return cmd
}

// complete refuses flags that need a file.
func (r *restoring) complete() error {
	switch {
	case r.file == "" && len(r.empty) == 0:
		return errors.New("name the file of a backup, such as: rind restore rind.backup; or, where there is none, the buckets whose content is given up: rind restore --empty BUCKET")
	case r.file == "" && (len(r.replace) > 0 || r.database || r.keys):
		return errors.New("--replace, --database and --keys take what they restore from a file: name it")
	case r.file == "-":
		return errors.New("a backup is read twice, to check it before anything is changed: write it to a file first")
	}
	return nil
}

// confirm asks for a word before content is given up.
func confirm(in io.Reader, out io.Writer, buckets []string) error {
	fmt.Fprintf(out, "What was in %s is lost for good. Type yes to go on: ", strings.Join(buckets, ", "))
	line, err := bufio.NewReader(io.LimitReader(in, 64)).ReadString('\n')
	if strings.TrimSpace(line) == "yes" {
		return nil
	}
	if err != nil {
		fmt.Fprintln(out)
	}
	return errors.New("nothing was changed; add --yes where nobody can answer")
}

func showRestored(c *cobra.Command, out restoredOut) error {
	if done, err := inFormat(c.Flag("output").Value.String(), c.OutOrStdout(), out); done {
		return err
	}
	if out.Backup != nil {
		if _, err := fmt.Fprintf(c.OutOrStdout(), "backup of %s, by Rind %s\n", out.Backup.Made.UTC().Format("2006-01-02 15:04:05 MST"), render.Line(out.Backup.Version)); err != nil {
			return err
		}
	}
	t := &render.Table{Columns: render.Columns("BUCKET", ">VALUES", "RESULT"), Wide: true}
	for _, row := range out.Results {
		t.Add(row.Name, strconv.FormatInt(row.Values, 10), row.Result)
	}
	return t.Write(c.OutOrStdout(), false)
}

// finishRestored shows what was done, and what to do next.
func finishRestored(c *cobra.Command, out restoredOut) error {
	if err := showRestored(c, out); err != nil {
		return err
	}
	failed := false
	for _, row := range out.Results {
		failed = failed || row.Failed
	}
	say := func(text string) { _, _ = fmt.Fprintln(c.ErrOrStderr(), text) } // nobody is left to be told
	switch {
	case out.DryRun && !failed:
		say("nothing was changed; without --dry-run this is done")
	case out.DryRun:
		say("nothing was changed; not everything that is gone would be back")
	case len(out.Gone) > 0:
		say("still gone: " + strings.Join(out.Gone, ", ") + "; name another backup, or give their content up with: rind restore --empty " + strings.Join(out.Gone, " --empty "))
	case !failed:
		say("start the server again: rind server")
	}
	if failed || len(out.Gone) > 0 && !out.DryRun {
		return cli.ExitFailed
	}
	return nil
}
