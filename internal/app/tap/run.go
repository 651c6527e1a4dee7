package tap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/app/daemon"
	"github.com/rind-project/rind/internal/base/health"
	"github.com/rind-project/rind/internal/base/httpserver"
	"github.com/rind-project/rind/internal/base/lifecycle"
	"github.com/rind-project/rind/internal/base/log"
	"github.com/rind-project/rind/internal/base/metrics"
	"github.com/rind-project/rind/internal/base/version"
	"github.com/rind-project/rind/internal/network/tap"
)

func runCommand(load *daemon.Loader) *cobra.Command {
	var interfaces []string
	cmd := &cobra.Command{
		Use: "run", Short: "capture, report and deliver until told to stop", Args: cobra.NoArgs,
		Long: "run captures on the interfaces. Started with CAP_NET_RAW it becomes two processes:\n" +
			"this one opens sockets and does nothing else; the other one parses packets, as an\n" +
			"unprivileged user without any capability.",
		Example: "  rind-tap run --interface eth0\n  rind-tap run -i eth0 -i eth1 --data /var/lib/rind-tap",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(load, interfaces)
			if err != nil {
				return err
			}
			if err := needInterfaces(cfg); err != nil {
				return err
			}
			logger, err := log.New(c.ErrOrStderr(), cfg.Log)
			if err != nil {
				return err
			}
			ctx, stop := daemon.SignalContext(c.Context())
			defer stop()
			if !canOpen() {
				return runTap(ctx, cfg, logger, nil)
			}
			return runOpener(ctx, cfg, logger)
		},
	}
	interfaceFlag(cmd, &interfaces)
	return cmd
}

// runOpener starts the parsing process and serves it sockets until it ends.
func runOpener(ctx context.Context, cfg Config, logger *slog.Logger) error {
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		var err error
		if uid, gid, err = unprivileged(cfg.User); err != nil {
			return err
		}
		if err := hand(cfg.DataDir, uid, gid); err != nil {
			return err
		}
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("making the opener's socket: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "opener")
	ours := os.NewFile(uintptr(pair[0]), "opener")
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		theirs.Close()
		return err
	}
	defer conn.Close()

	args := slices.Clone(os.Args[1:])
	if i := slices.Index(args, "run"); i >= 0 {
		args[i] = "parse"
	}
	args = append(args, "--uid", strconv.Itoa(uid), "--gid", strconv.Itoa(gid))
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Args[0] = "rind-tap"
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return fmt.Errorf("starting the parsing process: %w", err)
	}
	// CAP_KILL is for the signal that ends the other process, another user's.
	if err := keepOnly(unix.CAP_NET_RAW, unix.CAP_KILL); err != nil {
		err = errors.Join(err, cmd.Cancel())
		_ = cmd.Wait() // it ends as it was told to
		return err
	}
	logger.Debug("opener serves the parsing process", "pid", cmd.Process.Pid, "uid", uid)
	go serveOpener(conn.(*net.UnixConn), cfg.InterfaceNames(), logger)
	if err := cmd.Wait(); err != nil && ctx.Err() == nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() > 0 {
			return &daemon.ExitError{Code: exit.ExitCode()}
		}
		return fmt.Errorf("the parsing process ended: %w", err)
	}
	return nil
}

// parseCommand is the other half of run. It becomes unprivileged before the
// first packet, and works in the data folder, which it may not be able to
// reach by its path any more.
func parseCommand(load *daemon.Loader) *cobra.Command {
	var interfaces []string
	var uid, gid int
	cmd := &cobra.Command{
		Use: "parse", Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(load, interfaces)
			if err != nil {
				return err
			}
			logger, err := log.New(c.ErrOrStderr(), cfg.Log)
			if err != nil {
				return err
			}
			opener, err := newRemoteOpener(openerFD)
			if err != nil {
				return err
			}
			if err := os.Chdir(cfg.DataDir); err != nil {
				return fmt.Errorf("entering the data folder: %w", err)
			}
			cfg.DataDir, cfg.DataName = ".", cfg.DataDir
			if err := drop(uid, gid); err != nil {
				return err
			}
			ctx, stop := daemon.SignalContext(c.Context())
			defer stop()
			return runTap(ctx, cfg, logger, opener)
		},
	}
	cmd.Flags().IntVar(&uid, "uid", -1, "user to become")
	cmd.Flags().IntVar(&gid, "gid", -1, "group to become")
	interfaceFlag(cmd, &interfaces)
	return cmd
}

// runTap runs the tap's components until the context ends.
func runTap(ctx context.Context, cfg Config, logger *slog.Logger, opener tap.Opener) error {
	reg, checks := metrics.New(), health.New()
	group := lifecycle.NewGroup(logger)
	if cfg.Metrics.Listen != "" {
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", metrics.Handler(reg))
		mux.Handle("/", checks.Handler())
		group.Add("metrics", httpserver.New(httpserver.Defaults(cfg.Metrics.Listen),
			httpserver.Deps{Log: logger, Handler: mux, Key: "metrics.listen"}))
	}
	t := tap.New(cfg.Config, tap.Deps{Log: logger, Metrics: reg, Version: version.Get().Version, Opener: opener})
	checks.Add("interfaces", t.Check)
	group.Add("tap", t)
	if opener != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		go orphan(ctx, cancel, os.Getppid())
	}
	if err := group.Run(ctx); err != nil {
		return daemon.Fatal(logger, err)
	}
	return nil
}

// orphan ends the tap when the opener is gone: without it no interface could
// be opened again, and nobody would stop this process.
func orphan(ctx context.Context, cancel context.CancelFunc, parent int) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if os.Getppid() != parent {
				cancel()
				return
			}
		}
	}
}
