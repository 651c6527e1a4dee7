// Package peel composes rind-peel: its command line and its components.
package peel

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/app/daemon"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
)

// Main runs the command line and returns the exit code.
func Main(args []string, out, errOut io.Writer) int {
	return daemon.Execute(command(), args, out, errOut)
}

func command() *cobra.Command {
	load := &daemon.Loader{Prefix: "RIND_PEEL", Default: "/etc/rind/peel.yaml"}
	root := &cobra.Command{
		Use:   "rind-peel",
		Short: "the agent on a managed host",
		Long: "rind-peel makes this host a peel of a fleet: it tells the masters its facts, and runs\n" +
			"the jobs that they have signed for it.",
		Example: "  rind-peel enroll --server https://rind.example:8443 --pin sha256:… --token …\n  rind-peel run",
	}
	load.Bind(root)
	load.BindKey(root, "data", "data_dir", "folder of the peel's key and state")
	fresh := func() any { c := DefaultConfig(); return &c }
	root.AddCommand(enrollCommand(load), runCommand(load), statusCommand(load),
		load.ConfigCommand("rind-peel", fresh), daemon.VersionCommand("rind-peel"))
	return root
}

func enrollCommand(load *daemon.Loader) *cobra.Command {
	var join enroll.JoinConfig
	var id string
	var wait time.Duration
	var noWait bool
	cmd := &cobra.Command{
		Use:   "enroll",
		Short: "make a key for this host and ask a server to take it into the fleet",
		Long: "enroll makes this host's key pair, which never leaves it, and asks the server with a\n" +
			"token from `rind enroll token`. It waits until an administrator has approved, unless\n" +
			"the token was made with --auto-approve. Run it again to go on waiting.",
		Example: "  rind-peel enroll --server https://rind.example:8443 --pin sha256:… --token …\n" +
			"  rind-peel enroll --server rind.example --pin sha256:… --token … --id web-01 --no-wait",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg := DefaultConfig()
			if _, err := load.Load(&cfg); err != nil {
				return err
			}
			if c.Flags().Changed("id") {
				parsed, err := fleet.ParsePeelID(id)
				if err != nil {
					return fmt.Errorf("--id: %w", err)
				}
				join.ID = parsed
			}
			logger, err := newLog(c.ErrOrStderr(), cfg)
			if err != nil {
				return err
			}
			if join.Token, err = daemon.Secret("token", join.Token, c.InOrStdin()); err != nil {
				return err
			}
			join.Dir, join.Log, join.Wait = cfg.DataDir, logger, !noWait
			return runEnroll(c, join, wait)
		},
	}
	f := cmd.Flags()
	f.StringVar(&join.Server, "server", "", "address of the server, https://host:8443")
	f.StringVar(&join.Pin, "pin", "", "pin of the server's CA (rind server pin shows it)")
	f.StringVar(&join.CAFile, "ca-file", "", "file of CA certificates, instead of the pin")
	f.StringVar(&join.Token, "token", "", "token from rind enroll token, on the server; - reads it from standard input")
	f.StringVar(&id, "id", "", "this host's id (default: the host name with . as _)")
	f.DurationVar(&wait, "wait", 0, "how long to wait for the approval (default: for ever)")
	f.BoolVar(&noWait, "no-wait", false, "do not wait for the approval")
	return cmd
}

func statusCommand(load *daemon.Loader) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "show who this host is in the fleet", Args: cobra.NoArgs,
		Example: "  rind-peel status",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg := DefaultConfig()
			if _, err := load.Load(&cfg); err != nil {
				return err
			}
			identity, err := enroll.LoadIdentity(cfg.DataDir)
			if err != nil {
				return err
			}
			out := c.OutOrStdout()
			fmt.Fprintf(out, "id           %s\nserver       %s\npin          %s\nfingerprint  %s\npermission   until %s\n",
				identity.ID, identity.Server, identity.Pin, enroll.Fingerprint(identity.PublicKey()),
				identity.Expires().UTC().Format(time.RFC3339))
			return nil
		},
	}
}
