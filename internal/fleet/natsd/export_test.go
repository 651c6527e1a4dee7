package natsd

import (
	"context"
	"time"
)

// Kill ends the broker behind the component's back.
func (s *Server) Kill() { s.running().Shutdown() }

// Retire looks for signing keys that were rotated out, as it happens by itself
// now and then.
func (s *Server) Retire(ctx context.Context) error { return s.retire(ctx) }

// Synced returns how JetStream syncs.
func (s *Server) Synced() (always bool, every time.Duration) {
	c := s.running().JetStreamConfig()
	return c.SyncAlways, c.SyncInterval
}
