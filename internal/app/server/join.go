package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/rind-project/rind/internal/app/daemon"
	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/fleet/member"
)

// joining is what `rind server join` was told.
type joining struct {
	server, pin, token string
	dir, config        string
	listen, busListen  string
	cluster, name      string
	advertise          string
	streams            string
}

func joinCommand(load *daemon.Loader) *cobra.Command {
	var j joining
	cmd := &cobra.Command{
		Use: "join", Short: "Make this machine a further server of a fleet", Args: cobra.NoArgs,
		Long: "join fetches what a further server of a fleet needs, with a token from `rind server token`, and\n" +
			"writes a data folder and a configuration. Then `rind server` starts it.",
		Example: "  rind server join --server https://rind1.example.net:8443 --pin sha256:… --token rindserver_…\n" +
			"  rind server join --server rind1.example.net --pin sha256:… --token - --data /srv/rind < token",
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if j.token, err = daemon.Secret("token", j.token, c.InOrStdin()); err != nil {
				return err
			}
			flag := func(name, def string) string { return cmp.Or(c.Flag(name).Value.String(), def) }
			def := DefaultConfig()
			j.dir, j.config = flag("data", def.DataDir), flag("config", load.Default)
			j.listen, j.busListen = flag("listen", def.Listen), flag("bus-listen", def.NATS.Listen)
			ctx, stop := daemon.SignalContext(c.Context())
			defer stop()
			gift, err := j.run(ctx)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "This machine is a server of the fleet now: %s, configured in %s.\nStart it: rind server --config %s\n", j.dir, j.config, j.config)
			if gift.DatabaseURL != "" {
				fmt.Fprintln(c.OutOrStdout(), "It uses the fleet's database as the other server does (database.url); check that it reaches it under that address.")
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&j.server, "server", "", "address of a server of the fleet, https://HOST:8443")
	f.StringVar(&j.pin, "pin", "", "pin of the fleet's CA, sha256:…")
	f.StringVar(&j.token, "token", "", "token from rind server token; - reads it from standard input")
	f.StringVar(&j.cluster, "cluster-listen", "0.0.0.0:6222", "address and port for the other servers of the cluster")
	f.StringVar(&j.advertise, "advertise", "", "host:port under which peels reach the bus of this server, if not as it listens")
	f.StringVar(&j.name, "name", "", "name of this master, unique in the fleet (the host name without it)")
	f.StringVar(&j.streams, "streams", "", "whether this server keeps streams: true or false (without it the first three masters do)")
	for _, name := range []string{"server", "pin", "token"} {
		_ = cmd.MarkFlagRequired(name) // the flag exists
	}
	return cmd
}

// run fetches and writes everything.
func (j *joining) run(ctx context.Context) (member.Gift, error) {
	server, err := enroll.ServerURL(j.server)
	if err != nil {
		return member.Gift{}, err
	}
	if j.pin, err = pki.ParsePin(j.pin); err != nil {
		return member.Gift{}, err
	}
	if err := j.free(); err != nil {
		return member.Gift{}, err
	}
	_, port, err := net.SplitHostPort(j.cluster)
	n, errPort := strconv.Atoi(port)
	if err != nil || errPort != nil {
		return member.Gift{}, errs.New(errs.Invalid, "--cluster-listen is %q; write it as ADDRESS:PORT, such as 0.0.0.0:6222", j.cluster)
	}
	host, _ := os.Hostname() // only shown to people
	gift, err := member.Ask(ctx, server, j.pin, member.Request{Token: j.token, Host: host, ClusterPort: n})
	if err != nil {
		return gift, err
	}
	text, err := j.yaml(gift)
	if err != nil {
		return gift, err
	}
	if err := j.write(gift, text); err != nil {
		return gift, fmt.Errorf("%w; the token is used up: make another with rind server token, and try again", err)
	}
	return gift, nil
}

// free refuses folders and files that hold something already.
func (j *joining) free() error {
	if _, err := os.Stat(j.config); !errors.Is(err, fs.ErrNotExist) {
		return errs.New(errs.Conflict, "%s is there already; move it away, or name another file with --config", j.config)
	}
	unlock, err := lockDataDir(j.dir)
	if err != nil {
		return err
	}
	defer func() { _ = unlock() }() // it closes a file
	marker, err := os.ReadFile(filepath.Join(j.dir, joinedFile))
	begun := err == nil && string(marker) == j.pin+"\n" // an earlier try to join this very fleet
	for _, name := range []string{"pki", "keys", "bus", "rind.db"} {
		_, err := os.Stat(filepath.Join(j.dir, name))
		if errors.Is(err, fs.ErrNotExist) || begun && (name == "pki" || name == "keys") {
			continue
		}
		if have, err := pki.PinIn(filepath.Join(j.dir, "pki")); err == nil && have != j.pin {
			return errs.New(errs.Conflict, "the data folder %s holds another fleet (pin %s); name another folder with --data, or move it away", j.dir, have)
		}
		return errs.New(errs.Conflict, "the data folder %s holds a server already (%s is there); name another folder with --data, or move it away", j.dir, name)
	}
	return nil
}

// write writes the keys, closed to others, and last the configuration: without
// it nothing starts.
func (j *joining) write(g member.Gift, text []byte) error {
	unlock, err := lockDataDir(j.dir)
	if err != nil {
		return err
	}
	defer func() { _ = unlock() }() // it closes a file
	if err := disk.WriteFile(filepath.Join(j.dir, joinedFile), []byte(j.pin+"\n")); err != nil {
		return err
	}
	for _, f := range g.Files {
		path := filepath.Join(j.dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := disk.WriteFile(path, f.Data); err != nil {
			return err
		}
	}
	if have, err := pki.PinIn(filepath.Join(j.dir, "pki")); err != nil || have != j.pin {
		return errs.New(errs.Invalid, "the CA that the server gave is not the one of the pin (%v)", err)
	}
	if err := os.MkdirAll(filepath.Dir(j.config), 0o755); err != nil {
		return err
	}
	return disk.WriteFile(j.config, text)
}

// yaml is the configuration of the new server. What the defaults say is left
// out.
func (j *joining) yaml(g member.Gift) ([]byte, error) {
	dir, err := filepath.Abs(j.dir)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"data_dir": dir, "roles": g.Roles, "listen": j.listen}
	if g.DatabaseURL != "" {
		out["database"] = map[string]any{"url": g.DatabaseURL}
	}
	if j.name != "" {
		out["master"] = map[string]any{"name": j.name}
	}
	if g.Has(RoleBus) {
		streams := g.Streams
		if j.streams != "" {
			if streams, err = strconv.ParseBool(j.streams); err != nil {
				return nil, errs.New(errs.Invalid, "--streams is %q; write true or false", j.streams)
			}
		}
		bus := map[string]any{
			"listen": j.busListen, "jetstream": map[string]any{"enabled": streams},
			"cluster": map[string]any{"name": g.Cluster, "listen": j.cluster, "routes": g.Routes},
		}
		if j.advertise != "" {
			bus["advertise"] = j.advertise
		}
		out["nats"] = bus
	}
	text, err := yaml.Marshal(out)
	if err != nil {
		return nil, err
	}
	return append([]byte("# Written by `rind server join` at "+time.Now().UTC().Format(time.RFC3339)+". `rind config dump` shows every key.\n"), text...), nil
}
