package server

import (
	"context"
	"time"

	"github.com/rind-project/rind/internal/fleet/settings/compile"
	"github.com/rind-project/rind/internal/fleet/settings/layer"
	"github.com/rind-project/rind/internal/fleet/target"
	"github.com/rind-project/rind/internal/fleet/target/group"
)

// composeSettings makes the rooms of named groups and of settings, which look
// at one another: a layer may name a group, and then no change of groups may
// take it away.
func (s *Server) composeSettings() (*compile.Compiler, error) {
	changed := func() { s.master.SettingsChanged() }
	s.groups = group.New(group.Deps{DB: s.db, Now: time.Now, Changed: changed, Check: func(ctx context.Context, g target.Groups) error {
		return s.layers.Check(ctx, g)
	}})
	s.layers = layer.New(layer.Deps{DB: s.db, Groups: s.groups, Now: time.Now, Changed: changed})
	return compile.New(compile.Deps{Source: s.layers, Log: s.log, Metrics: s.reg})
}
