package ingest

// Forget makes the next request of every tap read its token anew: another node
// has changed one.
func (s *Service) Forget() { s.tokens.forgetAll() }
