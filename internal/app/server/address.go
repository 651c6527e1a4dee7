package server

// FirstPassword is the one-time password of the administrator that the first
// start made; "" on any other start.
func (s *Server) FirstPassword() string { return s.password }

// Pin is the pin of the server's CA.
func (s *Server) Pin() string { return s.ca.Pin() }

// URL is how a browser reaches the server.
func (s *Server) URL() string {
	if s.cfg.PublicURL != "" {
		return s.cfg.PublicURL
	}
	return localURL(s.Addr())
}

// Addr is where the server listens for HTTPS.
func (s *Server) Addr() string {
	if s.edges == nil {
		return s.health.addr()
	}
	return s.edges.addr()
}

// BusAddr is where the bus listens; "" without that role.
func (s *Server) BusAddr() string {
	if s.daemon == nil {
		return ""
	}
	return s.daemon.Addr()
}

// Died yields why a part of the server ended by itself.
func (s *Server) Died() <-chan error { return s.group.Watch(s.watching) }
