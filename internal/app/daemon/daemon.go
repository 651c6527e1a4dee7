// Package daemon is what the command lines of all daemons share: where the
// configuration comes from, the commands that check and show it, and how a
// program ends.
package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/base/command"
	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/version"
)

// Loader collects from a command's flags what config.Load needs.
type Loader struct {
	Prefix    string   // of the environment variables
	IgnoreEnv []string // variables with the prefix that are no keys
	Default   string   // the file that is read when it exists and no other is named

	file string
	sets []string
	keys []boundKey
}

type boundKey struct {
	flag, key string
	value     *string
	cmd       *cobra.Command
}

// Bind adds --config and --set to a command and to those below it.
func (l *Loader) Bind(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringVarP(&l.file, "config", "c", "", "configuration file (default "+l.Default+", if it exists)")
	f.StringArrayVar(&l.sets, "set", nil, "set a configuration key, as in --set log.level=debug (repeatable)")
}

// BindKey adds a flag of its own for one key.
func (l *Loader) BindKey(cmd *cobra.Command, flag, key, help string) {
	l.keys = append(l.keys, boundKey{flag, key, cmd.PersistentFlags().String(flag, "", help), cmd})
}

// File is the path of the file that Load reads, if it exists.
func (l *Loader) File() string {
	if l.file != "" {
		return l.file
	}
	return l.Default
}

// Load fills the configuration, whose present values are the defaults.
func (l *Loader) Load(into any) (*config.Origins, error) {
	flags, named := map[string]string{}, map[string]string{}
	for _, s := range l.sets {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			return nil, fmt.Errorf("--set %q: write KEY=VALUE, as in --set log.level=debug", s)
		}
		flags[key] = value
	}
	for _, k := range l.keys {
		if f := k.cmd.PersistentFlags().Lookup(k.flag); f.Changed {
			flags[k.key], named[k.key] = *k.value, k.flag
		}
	}
	src := config.Source{
		File: l.file, FileRequired: l.file != "", Env: os.Environ(), Prefix: l.Prefix,
		IgnoreEnv: l.IgnoreEnv, Flags: flags,
		FlagName: func(key string) string {
			if own := named[key]; own != "" {
				return "--" + own
			}
			return "--set " + key
		},
	}
	if src.File == "" {
		src.File = l.Default
	}
	return config.Load(into, src)
}

// ConfigCommand is `config check` and `config dump`. fresh returns a pointer
// to a configuration that holds the defaults.
func (l *Loader) ConfigCommand(program string, fresh func() any) *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "check the configuration, or show it with the origin of each value"}
	cmd.AddCommand(l.checkCommand(program, fresh))
	var format string
	dump := &cobra.Command{
		Use: "dump", Short: "show every key with its value and where the value came from",
		Example: "  " + program + " config dump\n  " + program + " config dump -o yaml > rind.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			origins, err := l.Load(fresh())
			if err != nil {
				return err
			}
			return origins.Dump(c.OutOrStdout(), format)
		},
	}
	dump.Flags().StringVarP(&format, "output", "o", "table", "table, json or yaml")
	cmd.AddCommand(dump)
	return cmd
}

// VersionCommand prints the version.
func VersionCommand(program string) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "print the version", Args: cobra.NoArgs, Example: "  " + program + " version",
		Run: func(c *cobra.Command, _ []string) { fmt.Fprintln(c.OutOrStdout(), version.Get()) },
	}
}

// SignalContext ends on SIGINT and SIGTERM. A second signal ends the process.
func SignalContext(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(parent, syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// Secret is a secret that was given on the command line, or, as "-", the first
// line of standard input, where no other user of this machine can read it.
func Secret(flag, value string, in io.Reader) (string, error) {
	if value != "-" {
		return value, nil
	}
	line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
	if err != nil && (err != io.EOF || line == "") {
		return "", fmt.Errorf("--%s -: reading it from standard input: %w", flag, err)
	}
	return strings.TrimSpace(line), nil
}

// ExitError ends the program with a code; its message is printed unless empty.
type ExitError struct {
	Code int
	Err  error
}

// Error returns the message of the error inside.
func (e *ExitError) Error() string {
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

// Unwrap returns the error inside.
func (e *ExitError) Unwrap() error { return e.Err }

// Execute runs a daemon's command line and returns the exit code.
func Execute(cmd *cobra.Command, args []string, out, errOut io.Writer) int {
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.Version = version.Get().String()
	cmd.SetVersionTemplate("{{.Version}}\n")
	command.Explain(cmd)
	cmd.SetArgs(args)
	cmd.SetOut(out)
	cmd.SetErr(errOut)
	err := cmd.ExecuteContext(context.Background())
	if err == nil {
		return 0
	}
	if msg := err.Error(); msg != "" {
		fmt.Fprintf(errOut, "%s: %s\n", cmd.Name(), msg)
	}
	if e, ok := errors.AsType[*ExitError](err); ok {
		return e.Code
	}
	return 1
}

// StateDir is the default folder of a daemon's state: below /var/lib for root,
// else below the user's data folder (XDG Base Directory Specification).
func StateDir(name string) string {
	if os.Geteuid() == 0 {
		return filepath.Join("/var/lib", name)
	}
	if d := os.Getenv("XDG_DATA_HOME"); d != "" {
		return filepath.Join(d, name)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join(".", name+"-data")
	}
	return filepath.Join(home, ".local", "share", name)
}

// Fatal logs the end of a daemon, once.
func Fatal(log *slog.Logger, err error) error {
	log.Error("ended", "error", err)
	return &ExitError{Code: 1}
}
