package peel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/app/daemon"
	"github.com/rind-project/rind/internal/base/health"
	"github.com/rind-project/rind/internal/base/httpserver"
	"github.com/rind-project/rind/internal/base/lifecycle"
	"github.com/rind-project/rind/internal/base/log"
	"github.com/rind-project/rind/internal/base/metrics"
	"github.com/rind-project/rind/internal/base/version"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/fleet/peel"
)

func newLog(w io.Writer, cfg Config) (*slog.Logger, error) { return log.New(w, cfg.Log) }

func runEnroll(c *cobra.Command, join enroll.JoinConfig, wait time.Duration) error {
	ctx, stop := daemon.SignalContext(c.Context())
	defer stop()
	if wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, wait)
		defer cancel()
	}
	identity, err := enroll.Join(ctx, join)
	switch {
	case errors.Is(err, enroll.ErrPending):
		return &daemon.ExitError{Code: 3, Err: err}
	case err != nil:
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "%s is a peel of %s now. Start it: rind-peel run\n", identity.ID, identity.Server)
	return nil
}

func runCommand(load *daemon.Loader) *cobra.Command {
	return &cobra.Command{
		Use: "run", Short: "run the agent until it is told to stop", Args: cobra.NoArgs,
		Long: "run connects to the fleet and serves it. An enrollment that nobody has approved yet is\n" +
			"waited for.",
		Example: "  rind-peel run\n  rind-peel run --set log.level=debug",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg := DefaultConfig()
			if _, err := load.Load(&cfg); err != nil {
				return err
			}
			logger, err := newLog(c.ErrOrStderr(), cfg)
			if err != nil {
				return err
			}
			ctx, stop := daemon.SignalContext(c.Context())
			defer stop()
			identity, err := enroll.LoadIdentity(cfg.DataDir)
			if errors.Is(err, enroll.ErrPending) {
				identity, err = enroll.Resume(ctx, cfg.DataDir, logger)
				if err != nil && ctx.Err() != nil {
					return nil // told to stop while it waited
				}
			}
			if err != nil {
				return err
			}
			group := compose(cfg, identity, logger)
			if err := group.Run(ctx); err != nil {
				return daemon.Fatal(logger, err)
			}
			return nil
		},
	}
}

// compose lists the peel's components in start order.
func compose(cfg Config, identity *enroll.Identity, logger *slog.Logger) *lifecycle.Group {
	// An agent is a guest on its host: it trades a little of its own time for
	// the host's memory.
	debug.SetGCPercent(50)
	reg, checks := metrics.New(), health.New()
	runtime := cfg.Config
	runtime.StateDir = filepath.Join(cfg.DataDir, "state")
	group := lifecycle.NewGroup(logger)
	group.Add("data folder", &onlyOne{dir: cfg.DataDir})
	if cfg.Metrics.Listen != "" {
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", metrics.Handler(reg))
		mux.Handle("/", checks.Handler())
		group.Add("metrics", httpserver.New(httpserver.Defaults(cfg.Metrics.Listen),
			httpserver.Deps{Log: logger, Handler: mux, Key: "metrics.listen"}))
	}
	group.Add("peel", peel.New(runtime, peel.Deps{
		Log: logger, Identity: identity, Version: version.Get().Version, Metrics: reg,
	}))
	return group
}
