package httpserver

import (
	"context"
	"fmt"
	"time"
)

// patience is how long requests in flight may go on after Stop before their
// contexts end, when the context of Stop allows as much.
const patience = 5 * time.Second

// Stop closes the address, ends streams of events, lets other requests finish
// for a few seconds, then ends them too. It returns when the context ends at
// the latest, and then cuts what is left.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	srv, served, stopping, abort := s.http, s.served, s.stopping, s.abort
	s.mu.Unlock()
	if srv == nil {
		return s.closeUnused()
	}
	defer abort()
	timer := time.AfterFunc(graceOf(ctx), abort)
	defer timer.Stop()
	stopping()
	if err := srv.Shutdown(ctx); err != nil {
		_ = srv.Close() // the connections are cut; what it says adds nothing
		return fmt.Errorf("stopping http server: requests were still running and have been cut: %w", err)
	}
	<-served
	return nil
}

// graceOf returns half of the time that is left, at most patience.
func graceOf(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return patience
	}
	return min(patience, time.Until(deadline)/2)
}

// closeUnused closes a listener that was handed in, but never served.
func (s *Server) closeUnused() error {
	if s.deps.Listener == nil {
		return nil
	}
	_ = s.deps.Listener.Close() // a second Stop finds it closed
	return nil
}
