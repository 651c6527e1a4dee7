package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/app/daemon"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/lifecycle"
)

// upOptions is what `rind up` is told beside the configuration.
type upOptions struct {
	interfaces    []string
	noPeel, noTap bool
}

func upCommand(load *daemon.Loader) *cobra.Command {
	var opts upOptions
	cmd := &cobra.Command{
		Use: "up", Short: "Start everything on this machine: server, agent and sensor", Args: cobra.NoArgs,
		Long: "up runs the server in this process and starts rind-peel and rind-tap, which lie beside\n" +
			"this program, as children with rights of their own. It makes this machine a peel, and\n" +
			"its tap capture. Ctrl-C ends them all; everything is kept for the next time.",
		Example: "  rind up\n  rind up --interface eth0\n  rind up --data ./data --listen 127.0.0.1:8443 --bus-listen 127.0.0.1:4222",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, origins, logger, err := loadConfig(load, c.ErrOrStderr(), true)
			if err != nil {
				return err
			}
			cfg.MemoryLimit.Set()
			ctx, stop := daemon.SignalContext(c.Context())
			defer stop()
			u := &up{
				cfg: cfg, opts: opts, log: logger, out: c.OutOrStdout(), errOut: c.ErrOrStderr(),
				server: New(cfg, logger), usualSocket: origins.Of("data_dir") == "default" && cfg.Socket == "",
			}
			return u.run(ctx)
		},
	}
	bindServerFlags(load, cmd)
	f := cmd.Flags()
	f.StringArrayVarP(&opts.interfaces, "interface", "i", nil, "interface to capture on (repeatable; default: all that are up)")
	f.BoolVar(&opts.noPeel, "no-peel", false, "do not make this machine a peel")
	f.BoolVar(&opts.noTap, "no-tap", false, "do not capture on this machine")
	return cmd
}

// up is one run of `rind up`.
type up struct {
	cfg         Config
	opts        upOptions
	log         *slog.Logger
	out, errOut io.Writer
	server      *Server
	usualSocket bool // the command line finds it by itself

	notes []string // what is not as it could be, for the banner
}

func (u *up) run(ctx context.Context) error {
	group := lifecycle.NewGroup(u.log)
	group.Add("server", u.server)
	group.Add("this machine", &machine{up: u})
	return group.Run(ctx)
}

// machine is the peel and the tap of this machine, once the server serves.
type machine struct {
	up    *up
	group *lifecycle.Group
}

// Start enrolls and starts the children, and prints the banner.
func (m *machine) Start(ctx context.Context) error {
	m.group = lifecycle.NewGroup(m.up.log)
	if !m.up.opts.noPeel {
		child, err := m.up.peel(ctx)
		if err != nil {
			return err
		}
		m.group.Add("peel", child)
	}
	if !m.up.opts.noTap {
		child, err := m.up.tap(ctx)
		if err != nil {
			return err
		}
		if child != nil {
			m.group.Add("tap", child)
		}
	}
	if err := m.group.Start(ctx); err != nil {
		return err
	}
	if !m.up.opts.noPeel {
		m.up.awaitPeel(ctx)
	}
	m.up.banner()
	return nil
}

// Stop stops the children.
func (m *machine) Stop(ctx context.Context) error {
	if m.group == nil {
		return nil
	}
	return m.group.Stop(ctx)
}

// beside finds a program that lies beside this one, or else in the PATH.
func beside(name string) (string, error) {
	if self, err := os.Executable(); err == nil {
		path := filepath.Join(filepath.Dir(self), name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", errs.New(errs.NotFound, "%s is neither beside this program nor in the PATH: build it with `make build`, or leave it out with --no-%s",
			name, strings.TrimPrefix(name, "rind-"))
	}
	return path, nil
}

// captureInterfaces are those that were asked for, else all that are up,
// without the loopback unless it is the only one.
func (u *up) captureInterfaces() ([]string, error) {
	if len(u.opts.interfaces) > 0 {
		return u.opts.interfaces, nil
	}
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("listing interfaces: %w", err)
	}
	var names, loopback []string
	for _, dev := range all {
		switch {
		case dev.Flags&net.FlagUp == 0:
		case dev.Flags&net.FlagLoopback != 0:
			loopback = append(loopback, dev.Name)
		default:
			names = append(names, dev.Name)
		}
	}
	if len(names) == 0 {
		names = loopback
	}
	return names, nil
}

// mayCapture reports whether a child of this process can open packet sockets.
func mayCapture() bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if os.Geteuid() == 0 {
		return unix.Capget(&hdr, &data[0]) == nil && data[0].Effective&(1<<unix.CAP_NET_RAW) != 0
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}
