// Package cli is the operator's command line: the tree of commands of the
// program rind. Each noun has a file. A command asks the API over the server's
// unix socket or over HTTPS and shows the answer; it decides nothing.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rind-project/rind/internal/base/command"
	"github.com/rind-project/rind/internal/base/version"
	"github.com/rind-project/rind/internal/cli/client"
	"github.com/rind-project/rind/internal/cli/render"
)

// Options is what the commands work with. Zero fields take the process's own.
type Options struct {
	Extra   []*cobra.Command    // the program's further commands: up, server, config
	In      io.Reader           // for secrets that are typed or piped
	Out     io.Writer           // answers
	Err     io.Writer           // errors and hints
	Env     func(string) string // os.Getenv
	Now     func() time.Time
	Sockets []string // where a server's socket may be, tried in order
	Login   string   // file of `rind login`
	Width   int      // of the terminal, to wrap lists of names; 0 is 100
	Colour  *bool    // nil: on a terminal, unless NO_COLOR is set
}

// Exit codes.
const (
	exitOK      = 0
	exitNotDone = 1 // it could not be asked for
	exitFailed  = 2 // some hosts failed
	exitMissing = 3 // some hosts did not answer
	exitBoth    = 4 // some failed, and some did not answer
)

// ExitFailed ends the program with the code for "some of it failed", after the
// program's further commands have said what.
const ExitFailed = exit(exitFailed)

// exit ends the program with a code after everything has been said.
type exit int

// Error is never shown.
func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// Main runs the command line and returns the exit code.
func Main(ctx context.Context, args []string, opts Options) int {
	opts = opts.withDefaults()
	root := New(opts)
	root.SetArgs(canonical(root, args))
	err := root.ExecuteContext(ctx)
	if code, ok := errors.AsType[exit](err); ok {
		return int(code)
	}
	if err == nil {
		return exitOK
	}
	if msg := render.Text(err.Error()); msg != "" { // else it has been said
		_, _ = fmt.Fprintln(opts.Err, "rind: "+msg)
	}
	return exitNotDone
}

// New makes the command tree.
func New(opts Options) *cobra.Command {
	s := &shell{opts: opts.withDefaults()}
	root := &cobra.Command{
		Use:   "rind",
		Short: "Manage hosts and watch networks",
		Long: "rind manages hosts (peels) and shows what the taps see.\n\n" +
			"A first word that is no command is a target: `rind 'web-*' test.ping` is `rind run 'web-*' test.ping`.",
		Example: "  rind up                                  start everything on this machine\n" +
			"  rind 'web-*' test.ping                   ask hosts for a sign of life\n" +
			"  rind run 'db-*' cmd.run 'uptime'         run a shell command on hosts\n" +
			"  rind cp app.tar 'web-*:/srv/app.tar'     bring a file to hosts\n" +
			"  rind flow list --since 15m --port 443    show traffic",
		Version:                    version.Get().String(),
		SuggestionsMinimumDistance: 2,
		SilenceErrors:              true,
		SilenceUsage:               true,
		PersistentPreRunE:          func(*cobra.Command, []string) error { return s.checkFormat() },
	}
	root.SetIn(s.opts.In)
	root.SetOut(s.opts.Out)
	root.SetErr(s.opts.Err)
	root.SetVersionTemplate("{{.Version}}\n")
	s.flags(root)
	root.AddCommand(
		s.runCommand(), s.peelCommand(), s.targetCommand(), s.jobCommand(), s.basketCommand(), s.eventCommand(), s.enrollCommand(),
		s.groupCommand(), s.settingsCommand(), s.cpCommand(), s.backupCommand(),
		s.clusterCommand(), s.nodeCommand(),
		s.tapCommand(), s.flowCommand(), s.dnsCommand(), s.tlsCommand(), s.recordCommand(), s.storageCommand(), s.trafficCommand(), s.overviewCommand(),
		s.userCommand(), s.tokenCommand(), s.auditCommand(),
		s.loginCommand(), s.logoutCommand(), s.whoamiCommand(), s.versionCommand(),
	)
	root.AddCommand(s.opts.Extra...)
	s.addServerVerbs(root)
	command.Explain(root)
	root.SetFlagErrorFunc(flagError)
	return root
}

func (o Options) withDefaults() Options {
	if o.In == nil {
		o.In = os.Stdin
	}
	if o.Out == nil {
		o.Out = os.Stdout
	}
	if o.Err == nil {
		o.Err = os.Stderr
	}
	if o.Env == nil {
		o.Env = os.Getenv
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Width == 0 {
		o.Width = 100
	}
	home := o.Env("HOME")
	if o.Sockets == nil {
		data := o.Env("XDG_DATA_HOME")
		if data == "" {
			data = filepath.Join(home, ".local", "share")
		}
		o.Sockets = []string{"/run/rind/rind.sock", filepath.Join(data, "rind", "rind.sock"), "/var/lib/rind/rind.sock"}
	}
	if o.Login == "" {
		config := o.Env("XDG_CONFIG_HOME")
		if config == "" {
			config = filepath.Join(home, ".config")
		}
		o.Login = filepath.Join(config, "rind", "login.yaml")
	}
	return o
}

// canonical puts the verb run in front of a target: the first word that is no
// flag, when it is the name of no command, or when a flag before it says of
// which kind of target it is.
func canonical(root *cobra.Command, args []string) []string {
	if len(args) > 1 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd) {
		return append([]string{args[0]}, completing(root, args[1:])...)
	}
	i := firstWord(root, args)
	if i < len(args) && slices.ContainsFunc(args[:i], func(word string) bool { return isKindFlag(word) || ofRun(root, word) != nil }) {
		return slices.Insert(slices.Clone(args), 0, "run")
	}
	if i == len(args) || isCommand(root, args[i]) {
		return args
	}
	if rest := firstWord(root, args[i+1:]); !strings.ContainsAny(args[i], "*?[@ ") && rest == len(args)-i-1 {
		return args // one word alone: let it be an unknown command
	}
	if len(root.SuggestionsFor(args[i])) > 0 && !strings.Contains(strings.Join(args[i+1:], " "), ".") {
		return args // a command that is misspelt; functions have a dot
	}
	return slices.Insert(slices.Clone(args), i, "run")
}

// completing is canonical for words of which the last is being typed: it says
// nothing about whether the others are a target.
func completing(root *cobra.Command, args []string) []string {
	i := firstWord(root, args)
	if i >= len(args)-1 || isCommand(root, args[i]) {
		return args
	}
	return canonical(root, args)
}

// firstWord is the index of the first argument that is neither a flag nor the
// value of one.
func firstWord(root *cobra.Command, args []string) int {
	for i := 0; i < len(args); i++ {
		if args[i] == "--" || !strings.HasPrefix(args[i], "-") || args[i] == "-" {
			return i
		}
		name, _, inline := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		flag := root.PersistentFlags().Lookup(name)
		if flag == nil && len(name) == 1 {
			flag = root.PersistentFlags().ShorthandLookup(name)
		}
		if flag == nil {
			flag = ofRun(root, args[i])
		}
		if flag != nil && !inline && flag.NoOptDefVal == "" {
			i++
		}
	}
	return len(args)
}

// ofRun is the flag of the verb run that a word is, nil when it is none: such
// flags may stand in front of a target as well.
func ofRun(root *cobra.Command, word string) *pflag.Flag {
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	for _, c := range root.Commands() {
		if c.Name() != "run" || name == "" || !strings.HasPrefix(word, "-") {
			continue
		}
		if strings.HasPrefix(word, "--") {
			return c.Flags().Lookup(name)
		}
		return c.Flags().ShorthandLookup(name[:1])
	}
	return nil
}

func isCommand(root *cobra.Command, word string) bool {
	if word == "--" || word == "help" || word == "completion" || strings.HasPrefix(word, "__complete") {
		return true
	}
	return slices.ContainsFunc(root.Commands(), func(c *cobra.Command) bool {
		return c.Name() == word || c.HasAlias(word)
	})
}

func flagError(cmd *cobra.Command, err error) error {
	if cmd.Name() == "run" {
		return fmt.Errorf("%w; put -- in front of arguments that begin with a dash", err)
	}
	return fmt.Errorf("%w; see `%s --help`", err, cmd.CommandPath())
}

// group makes a command that only holds others.
func group(use, short string, verbs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short}
	var examples []string
	for _, v := range verbs {
		if first, _, _ := strings.Cut(v.Example, "\n"); first != "" {
			examples = append(examples, first)
		}
	}
	c.Example = strings.Join(examples, "\n")
	c.AddCommand(verbs...)
	return c
}

// target says which server to ask: by flag, by environment, by login, else by
// one of the usual sockets.
func (s *shell) target() (client.Target, error) {
	for _, socket := range []string{s.socket, s.opts.Env("RIND_SOCKET")} {
		if socket != "" {
			return client.Target{Sockets: []string{socket}}, nil
		}
	}
	if server := s.opts.Env("RIND_SERVER"); server != "" {
		return fromEnvironment(server, s.opts.Env("RIND_TOKEN"), s.opts.Env("RIND_PIN"))
	}
	login, ok, err := client.ReadLogin(s.opts.Login)
	if err != nil {
		return client.Target{}, err
	}
	if !ok {
		return client.Target{Sockets: s.opts.Sockets}, nil
	}
	return login.Target()
}

// fromEnvironment is the login of a program that keeps its token elsewhere.
func fromEnvironment(server, token, pin string) (client.Target, error) {
	if token == "" {
		return client.Target{}, errors.New("RIND_SERVER is set, RIND_TOKEN is not: put an API token there (`rind token create` makes one)")
	}
	first, others, err := client.ParseServers(strings.FieldsFunc(server, func(r rune) bool { return r == ',' || r == ' ' }))
	if err != nil {
		return client.Target{}, fmt.Errorf("RIND_SERVER: %w", err)
	}
	return client.Login{Server: first, Others: others, Token: token, Pin: pin}.Target()
}
