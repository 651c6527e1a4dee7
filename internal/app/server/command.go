package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/app/daemon"
	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/lifecycle"
	"github.com/rind-project/rind/internal/base/log"
	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/cli"
)

// Main runs the command line of rind and returns the exit code.
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	load := &daemon.Loader{
		Prefix: "RIND", Default: "/etc/rind/rind.yaml",
		IgnoreEnv: []string{"RIND_SOCKET", "RIND_TOKEN", "RIND_SERVER", "RIND_PIN", "RIND_PEEL_*", "RIND_TAP_*"},
	}
	fresh := func() any { c := DefaultConfig(); return &c }
	conf := load.ConfigCommand("rind", fresh)
	conf.Short = capital(conf.Short)
	for _, c := range conf.Commands() {
		c.Short = capital(c.Short)
		bindServerFlags(load, c)
	}
	return cli.Main(context.Background(), args, cli.Options{
		Extra: []*cobra.Command{upCommand(load), serverCommand(load), restoreCommand(load), databaseCommand(load), conf},
		In:    in, Out: out, Err: errOut,
	})
}

// capital begins a line as the other commands of rind do.
func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// bindServerFlags adds the flags that say how a server is configured.
func bindServerFlags(load *daemon.Loader, cmd *cobra.Command) {
	load.Bind(cmd)
	load.BindKey(cmd, "data", "data_dir", "folder of keys, bus and database")
	load.BindKey(cmd, "listen", "listen", "address and port of API, pages, enrollment and ingest")
	load.BindKey(cmd, "bus-listen", "nats.listen", "address and port of the bus")
}

// loadConfig reads the configuration and makes the logger.
func loadConfig(load *daemon.Loader, w io.Writer, quiet bool) (Config, *config.Origins, *slog.Logger, error) {
	cfg := DefaultConfig()
	if quiet {
		cfg.Log.Level = "warn"
	}
	origins, err := load.Load(&cfg)
	if err != nil {
		return cfg, nil, nil, err
	}
	logger, err := log.New(w, cfg.Log)
	return cfg, origins, logger, err
}

func serverCommand(load *daemon.Loader) *cobra.Command {
	cmd := &cobra.Command{
		Use: "server", Short: "Run a server until it is told to stop", Args: cobra.NoArgs,
		Long: "server runs the roles bus, master and node in this process. `rind up` also starts the\n" +
			"agent and the sensor of this machine.",
		Example: "  rind server\n  rind server --config /etc/rind/rind.yaml\n  rind server --data ./data --listen 127.0.0.1:8443 --bus-listen 127.0.0.1:4222",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, _, logger, err := loadConfig(load, c.ErrOrStderr(), false)
			if err != nil {
				return err
			}
			saveMemory(cfg)
			ctx, stop := daemon.SignalContext(c.Context())
			defer stop()
			s := New(cfg, logger)
			group := lifecycle.NewGroup(logger)
			group.Add("server", announced{s, c.OutOrStdout()})
			return group.Run(ctx)
		},
	}
	bindServerFlags(load, cmd)
	cmd.AddCommand(pinCommand(load), joinCommand(load))
	return cmd
}

// gcPercent is how much the heap of a server that is no master may grow before
// it is collected. What only carries connections has mostly heap that stays
// (buffers of TLS and of the bus); what a node has are reports that wait for the
// database, whose memory is used again. Half of Go's default saves a third of
// the memory there, and costs no CPU that could be measured (make bench-node
// ONLY=ingest,rss). A master makes garbage all the time, and would collect all
// the time. GOGC in the environment has the last word.
const gcPercent = 50

func saveMemory(cfg Config) {
	if !cfg.has(RoleMaster) && os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

// announced prints the first administrator's password as soon as the server
// serves.
type announced struct {
	*Server
	out io.Writer
}

// Start starts the server.
func (a announced) Start(ctx context.Context) error {
	if err := a.Server.Start(ctx); err != nil {
		return err
	}
	if pw := a.FirstPassword(); pw != "" {
		fmt.Fprintf(a.out, "first administrator: admin\none-time password:   %s   (shown only now; change it at the first login)\n", pw)
	}
	a.log.Info("server started", "url", a.URL(), "bus", a.BusAddr(), "pin", a.Pin(), "data", a.cfg.DataDir)
	return nil
}

func pinCommand(load *daemon.Loader) *cobra.Command {
	return &cobra.Command{
		Use: "pin", Short: "Print the pin of this server's CA", Args: cobra.NoArgs,
		Example: "  rind server pin",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, _, _, err := loadConfig(load, c.ErrOrStderr(), false)
			if err != nil {
				return err
			}
			pin, err := pki.PinIn(filepath.Join(cfg.DataDir, "pki"))
			if err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), pin)
			return nil
		},
	}
}
