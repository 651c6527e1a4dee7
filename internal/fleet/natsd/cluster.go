package natsd

import (
	"context"
	"crypto/rand"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/base/errs"
)

// Cluster is the configuration of a server that shares the bus with others.
type Cluster struct {
	Name          string        `yaml:"name" help:"name of the cluster, the same on each of its servers"`
	Listen        string        `yaml:"listen" help:"address and port for the other servers of the cluster; empty: this server stands alone"`
	Routes        []string      `yaml:"routes" help:"host:port where other servers of the cluster listen; those that keep streams are enough"`
	LeaderTimeout time.Duration `yaml:"leader_timeout" help:"how long a start waits until most of the servers that keep streams are there"`
}

// maxRoutes bounds the list; the servers of a cluster tell one another of the
// rest.
const maxRoutes = 64

// Pace between the servers of a cluster: one that is cut off is noticed within
// 48 seconds. Sooner, servers that have too much to do for a moment, such as to
// take a whole fleet back, would be given up, and telling one another anew what
// each of their clients listens to would be the greater part of their work. One
// that has died is noticed at once.
const (
	routePing     = 8 * time.Second
	routePingsOut = 4
	routeWrite    = 30 * time.Second
	routeRetries  = 120
	leaveFor      = 4 * time.Second // in which a server that ends sends its clients away
)

// connectionCounts is where a server tells all others, for each connection that
// begins or ends, how many the account has. They need it for a limit that spans
// the cluster, which the account has not: so none asks for it. With seven
// servers it was a tenth of what a connection costs.
const connectionCounts = "$SYS.SERVER.ACCOUNT.*.CONNS"

// Clustered reports whether this server shares the bus with others.
func (c Config) Clustered() bool { return c.Cluster.Listen != "" }

var clusterName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

func (c Cluster) validate(stores bool) error {
	if c.Listen == "" {
		if len(c.Routes) > 0 {
			return errs.New(errs.Invalid, "nats.cluster.routes names other servers, but nats.cluster.listen is empty: set it to where they reach this one, such as 0.0.0.0:6222")
		}
		if !stores {
			return errs.New(errs.Invalid, "nats.jetstream.enabled is false, but a server that stands alone has to keep the streams; turn it on, or set nats.cluster.listen and nats.cluster.routes")
		}
		return nil
	}
	if _, _, err := hostPort("nats.cluster.listen", c.Listen, "0.0.0.0:6222"); err != nil {
		return err
	}
	if !clusterName.MatchString(c.Name) {
		return errs.New(errs.Invalid, "nats.cluster.name is %.100q; use 1 to 63 letters, digits, - and _, the same on each server", c.Name)
	}
	if len(c.Routes) > maxRoutes {
		return errs.New(errs.Invalid, "nats.cluster.routes has %d entries, at most %d are allowed; the servers tell one another of the rest", len(c.Routes), maxRoutes)
	}
	for _, r := range c.Routes {
		host, port, err := net.SplitHostPort(r)
		n, errPort := strconv.Atoi(port)
		if err != nil || host == "" || strings.ContainsAny(host, "/@ ") || errPort != nil || n < 1 || n > 65535 {
			return errs.New(errs.Invalid, "nats.cluster.routes has %.100q; write each as host:port, such as bus2.example.net:6222", r)
		}
	}
	if !stores && len(c.Routes) == 0 {
		return errs.New(errs.Invalid, "nats.jetstream.enabled is false and nats.cluster.routes is empty: name a server that keeps the streams")
	}
	if c.LeaderTimeout <= 0 {
		return errs.New(errs.Invalid, "nats.cluster.leader_timeout has to be more than 0")
	}
	return nil
}

// clusterOptions adds what makes the server one of several.
func (s *Server) clusterOptions(ctx context.Context, opts *server.Options) error {
	if !s.cfg.Clustered() {
		return nil
	}
	if s.deps.RouteTLS == nil {
		return errs.New(errs.Invalid, "the bus has no certificate for the other servers of its cluster, and never talks to them without")
	}
	host, port, err := hostPort("nats.cluster.listen", s.cfg.Cluster.Listen, "0.0.0.0:6222")
	if err != nil {
		return err
	}
	if port, err = probe(ctx, "nats.cluster.listen", "the bus's other servers", host, port); err != nil {
		return err
	}
	opts.Cluster = server.ClusterOpts{
		Name: s.cfg.Cluster.Name, Host: host, Port: port,
		TLSConfig: tls13(s.deps.RouteTLS), TLSTimeout: 30, AuthTimeout: 60,
		PoolSize: 3, Compression: server.CompressionOpts{Mode: server.CompressionOff}, // a network is seldom what is short between servers
		PingInterval: routePing, MaxPingsOut: routePingsOut, ConnectRetries: routeRetries, ConnectBackoff: true,
		WriteDeadline: routeWrite,
		Permissions:   &server.RoutePermissions{Import: &server.SubjectPermission{Deny: []string{connectionCounts}}},
	}
	opts.LameDuckGracePeriod, opts.LameDuckDuration = 200*time.Millisecond, leaveFor
	for _, r := range s.cfg.Cluster.Routes {
		opts.Routes = append(opts.Routes, &url.URL{Scheme: "tls", Host: r})
	}
	if len(opts.Routes) == 0 {
		// The first server of a cluster. Without any route there would be no
		// cluster that others could join; one to itself is recognised as that.
		opts.Routes = []*url.URL{{Scheme: "tls", Host: reachable(host, port)}}
	}
	return nil
}

// serverName is this server's own name in the cluster. Streams know their
// servers by it, so that it is made once and kept.
func (s *Server) serverName(dir string) (string, error) {
	if !s.cfg.Clustered() {
		return "rind-" + public(s.keys.Operator)[:12], nil
	}
	path := filepath.Join(dir, "name")
	if text, err := os.ReadFile(path); err == nil && len(text) < 200 {
		if name := strings.TrimSpace(string(text)); name != "" {
			return name, nil
		}
	}
	host, _ := os.Hostname() // only shown to people
	host, _, _ = strings.Cut(host, ".")
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-", r) {
			return r
		}
		return -1
	}, strings.ToLower(host))
	name = strings.Trim(name[:min(len(name), 40)]+"-"+strings.ToLower(rand.Text()[:8]), "-")
	return name, disk.WriteFile(path, []byte(name+"\n"))
}

// hostPort reads an address to listen on.
func hostPort(key, text, example string) (host string, port int, err error) {
	host, digits, err := net.SplitHostPort(text)
	if err != nil {
		return "", 0, errs.New(errs.Invalid, "%s is %.100q; it has to be ADDRESS:PORT, such as %s", key, text, example)
	}
	port, err = strconv.Atoi(digits)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, errs.New(errs.Invalid, "%s is %.100q; %.20q is no port", key, text, digits)
	}
	return host, port, nil
}
