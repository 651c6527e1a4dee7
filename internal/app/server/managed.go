package server

import (
	"path/filepath"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/inventory/managed"
	"github.com/rind-project/rind/internal/network/enrich"
	"github.com/rind-project/rind/internal/network/node/cluster"
)

// composeEnrich lists what knows more of addresses than the taps do. Which
// hosts are managed is what the master in this process knows, or what the
// masters of other processes have written into the database that they share.
func (s *Server) composeEnrich() {
	switch {
	case s.master != nil:
		known := managed.NewMemory(s.master.Hosts, managed.Every, s.reg)
		s.group.Add("managed hosts", known)
		s.whose = known.Name
	case s.db.Engine() == database.PostgreSQL:
		s.hosts = managed.NewReader(s.db, managed.Every, s.log, s.reg)
		s.group.Add("managed hosts", s.hosts)
		s.whose = s.hosts.Name
	}
	s.enrich = enrich.New(s.cfg.Enrich, enrich.Deps{Dir: filepath.Join(s.cfg.DataDir, "enrich"), Log: s.log, Metrics: s.reg, Host: s.whose})
	s.group.Add("enrich", s.enrich)
}

// composeManaged lists what tells nodes of their own which hosts are managed.
// With SQLite there are none.
func (s *Server) composeManaged() {
	if s.db.Engine() != database.PostgreSQL {
		return
	}
	s.group.Add("managed hosts for nodes", managed.NewWriter(managed.WriterDeps{
		DB: s.db, Owners: s.master.Owners, Every: managed.Every, Log: s.log, Metrics: s.reg,
		Member: cluster.Guest(cluster.Config{Heartbeat: s.cfg.Node.Heartbeat, Term: s.cfg.Node.LeaseTerm}, cluster.Deps{DB: s.db, Log: s.log}),
	}))
}
