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
	"os/signal"
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
			"unprivileged user without any capability, confined to a list of system calls.\n\n" +
			"The configuration is read again when its file changes, and on SIGHUP. What is broken is\n" +
			"told, and the one before stays in force.",
		Example: "  rind-tap run --interface eth0\n  rind-tap run -i eth0 -i eth1 --data /var/lib/rind-tap",
		RunE: func(c *cobra.Command, _ []string) error {
			read := func() (Config, error) {
				cfg, err := readConfig(load, interfaces)
				if err != nil {
					return cfg, err
				}
				return cfg, needInterfaces(cfg)
			}
			cfg, err := read()
			if err != nil {
				return err
			}
			logger, err := log.New(c.ErrOrStderr(), cfg.Log)
			if err != nil {
				return err
			}
			ctx, stop := daemon.SignalContext(c.Context())
			defer stop()
			hup := make(chan os.Signal, 1)
			signal.Notify(hup, syscall.SIGHUP)
			if canOpen() {
				return runOpener(ctx, openerDeps{cfg: cfg, read: read, file: load.File(), hup: hup, log: logger})
			}
			return runTap(ctx, runDeps{cfg: cfg, log: logger, complete: (*Config).complete, feed: func(ctx context.Context, r *reloader) {
				go watchFile(ctx, load.File(), hup, func() { r.reread(ctx, read) })
				watchFile(ctx, joinFile(cfg.DataDir), nil, func() { r.again(ctx) })
			}})
		},
	}
	interfaceFlag(cmd, &interfaces)
	return cmd
}

// openerDeps are what the opener stands on.
type openerDeps struct {
	cfg  Config
	read func() (Config, error) // reads the configuration again
	file string                 // that it stands in
	hup  <-chan os.Signal
	log  *slog.Logger
}

// runOpener starts the parsing process and serves it sockets until it ends.
func runOpener(ctx context.Context, deps openerDeps) error {
	cfg, logger := deps.cfg, deps.log
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
	configs, push, err := os.Pipe()
	if err != nil {
		theirs.Close()
		return fmt.Errorf("making the opener's pipe: %w", err)
	}
	defer push.Close()

	args := slices.Clone(os.Args[1:])
	if i := slices.Index(args, "run"); i >= 0 {
		args[i] = "parse"
	}
	args = append(args, "--uid", strconv.Itoa(uid), "--gid", strconv.Itoa(gid))
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Args[0] = "rind-tap"
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{openerFD - 3: theirs, configFD - 3: configs}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	err = cmd.Start()
	theirs.Close()
	configs.Close()
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
	names := &allowedNames{names: cfg.InterfaceNames()}
	go serveOpener(conn.(*net.UnixConn), names, logger)
	go watchFile(ctx, deps.file, deps.hup, func() { openerReload(deps.read, names, push, logger) })
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
			signal.Ignore(syscall.SIGHUP) // it is the opener's
			cfg, err := readConfig(load, interfaces)
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
			configs := os.NewFile(configFD, "configurations")
			defer configs.Close()
			if err := wallUp(uid, gid, logger); err != nil {
				return err
			}
			ctx, stop := daemon.SignalContext(c.Context())
			defer stop()
			return runTap(ctx, runDeps{cfg: cfg, log: logger, opener: opener, complete: completeHere, feed: func(ctx context.Context, r *reloader) {
				go watchFile(ctx, joinFile("."), nil, func() { r.again(ctx) })
				if err := receive(configs, func(p pushed) { r.take(ctx, p) }); err != nil && ctx.Err() == nil {
					logger.Error("the configuration cannot change any more until the tap is started again", "error", err)
				}
			}})
		},
	}
	cmd.Flags().IntVar(&uid, "uid", -1, "user to become")
	cmd.Flags().IntVar(&gid, "gid", -1, "group to become")
	interfaceFlag(cmd, &interfaces)
	return cmd
}

// completeHere completes a configuration in the process that works in the data
// folder.
func completeHere(c *Config) error {
	c.DataDir, c.DataName = ".", c.DataDir
	return c.complete()
}

// runDeps are what a tap's components stand on.
type runDeps struct {
	cfg      Config
	log      *slog.Logger
	opener   tap.Opener
	complete func(*Config) error              // adds what the configuration leaves open
	feed     func(context.Context, *reloader) // hands over other configurations until the context ends
}

// runTap runs the tap's components until the context ends.
func runTap(ctx context.Context, deps runDeps) error {
	cfg, logger, opener := deps.cfg, deps.log, deps.opener
	if err := deps.complete(&cfg); err != nil {
		return err
	}
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
	r := newReloader(t, deps, reg)
	group.Add("status", newStatusServer(cfg.DataDir, func() Status {
		return Status{Status: t.Status(), Walls: walls(opener != nil), Config: r.status()}
	}))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group.Add("configuration", &feeder{feed: deps.feed, reloader: r})
	if opener != nil {
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
