package server

import (
	"context"

	"github.com/rind-project/rind/internal/access"
)

// audit writes into the trail what the server does by itself. By says which
// part of it.
func (s *Server) audit(ctx context.Context, by, action, object, detail string) error {
	return s.people.Audit(ctx, access.Entry{By: by, Action: action, Object: object, Detail: detail, OK: true})
}
