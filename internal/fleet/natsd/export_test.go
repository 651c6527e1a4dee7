package natsd

import "time"

// Kill ends the broker behind the component's back.
func (s *Server) Kill() { s.running().Shutdown() }

// Synced returns how JetStream syncs.
func (s *Server) Synced() (always bool, every time.Duration) {
	c := s.running().JetStreamConfig()
	return c.SyncAlways, c.SyncInterval
}
