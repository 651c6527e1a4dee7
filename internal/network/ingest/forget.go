package ingest

// Forget makes the next request read the tokens of the taps anew: another node
// has changed one.
func (s *Service) Forget() { s.tokens.forget() }
