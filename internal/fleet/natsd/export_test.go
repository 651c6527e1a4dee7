package natsd

// Kill ends the broker behind the component's back.
func (s *Server) Kill() { s.running().Shutdown() }
