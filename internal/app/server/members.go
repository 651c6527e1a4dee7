package server

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/member"
)

// desk lets further servers in.
func (s *Server) desk() *member.Desk {
	return member.NewDesk(member.Deps{DB: s.db, Ready: s.cfg.takesIn, Gift: s.gift})
}

// takesIn says why no server with these roles can join, if so.
func (c *Config) takesIn(roles []string) error {
	if (slices.Contains(roles, RoleMaster) || slices.Contains(roles, RoleNode)) && c.Database.URL == "" {
		return errs.New(errs.Conflict, "this fleet keeps its data in SQLite, which one server alone can use; move it to PostgreSQL first (rind database move postgres://user@host/name, or begin anew with database.url), or let the server in with --role bus")
	}
	if slices.Contains(roles, RoleBus) && !c.NATS.Clustered() {
		return errs.New(errs.Conflict, "the bus of this server stands alone: set nats.cluster.listen in its configuration (0.0.0.0:6222 is usual), restart it, and try again; what it has stored stays")
	}
	return nil
}

// streamServers is how many servers keep streams: the fourth and further ones
// would make each write slower and no safer.
const streamServers = 3

// gift is what a server with these roles is given.
func (s *Server) gift(_ context.Context, roles []string, host string, others []member.Joined) (member.Gift, error) {
	g := member.Gift{Pin: s.ca.Pin(), Roles: roles}
	names := []string{"pki/ca.key", "pki/ca.crt"}
	if slices.Contains(roles, RoleBus) {
		names = append(names, "keys/operator.nk", "keys/system.nk", "keys/account.nk", "keys/account.jwt")
		scoped, err := filepath.Glob(filepath.Join(s.cfg.DataDir, "keys", "scoped-*.nk"))
		if err != nil {
			return g, err
		}
		for _, f := range scoped {
			names = append(names, "keys/"+filepath.Base(f))
		}
		g.Cluster, g.Routes = s.cfg.NATS.Cluster.Name, s.routes(host, others)
	}
	if slices.Contains(roles, RoleMaster) {
		names = append(names, rootKeyFile)
		keep := 1
		for _, o := range others {
			if o.Streams {
				keep++
			}
		}
		g.Streams = keep < streamServers
	}
	if slices.Contains(roles, RoleMaster) || slices.Contains(roles, RoleNode) {
		g.DatabaseURL = s.cfg.Database.URL
	}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(s.cfg.DataDir, filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrNotExist) && name == rootKeyFile {
			return g, errs.New(errs.Conflict, "this server has no root key of the fleet, and cannot let in a master: ask one that has the role master")
		}
		if err != nil {
			return g, err
		}
		g.Files = append(g.Files, member.File{Path: name, Data: data})
	}
	return g, nil
}

// rootKeyFile is the fleet's root key, below the data folder.
const rootKeyFile = "keys/fleet-root.ed25519"

// routes are where a server that reached this one as host finds the others.
func (s *Server) routes(host string, others []member.Joined) []string {
	own := s.cfg.NATS.Cluster.Listen
	if bind, port, err := net.SplitHostPort(own); err == nil {
		if ip := net.ParseIP(bind); bind == "" || ip != nil && ip.IsUnspecified() {
			own = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
	}
	all := []string{own}
	for _, r := range s.cfg.NATS.Cluster.Routes {
		if !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	for _, o := range others {
		if o.Route != "" && len(all) < 16 && !slices.Contains(all, o.Route) {
			all = append(all, o.Route)
		}
	}
	return all
}
