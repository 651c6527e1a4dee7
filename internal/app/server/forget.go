package server

import (
	"context"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// forget removes everything that is kept under a peel's id, before the id can
// pass to another key: what it said, what it shared, and what was sealed for
// it.
func (s *Server) forget(ctx context.Context, id fleet.PeelID) error {
	for _, key := range []string{string(id), string(id) + ".>"} {
		if err := bus.Purge(ctx, s.client.js, bus.Secrets, key); err != nil {
			return err
		}
	}
	if err := s.basket.Forget(ctx, id); err != nil {
		return err
	}
	if err := s.files.Forget(ctx, id); err != nil {
		return err
	}
	return s.master.Forget(ctx, id)
}
