package server

import "context"

// problems says in words what does not work just now, as /readyz does.
func (s *Server) problems(ctx context.Context) []string {
	var all []string
	for _, c := range s.checks.Ready(ctx).Checks {
		if !c.OK {
			all = append(all, c.Name+": "+c.Error)
		}
	}
	return all
}
