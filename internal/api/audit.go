package api

import (
	"context"
	"net/http"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/endpoint"
)

// audit writes that somebody tried to change something, and how it went. A
// client that hangs up does not keep it out of the trail.
func (a *API) audit(r *http.Request, action string, s subject, failed error) {
	p, _ := access.PrincipalFrom(r.Context())
	e := access.Entry{
		By: p.Name, Via: p.Via, Action: action, Object: s.object, Detail: s.detail,
		Addr: access.ClientAddr(r), OK: failed == nil,
	}
	if failed != nil {
		e.Detail = clip(e.Detail, 1<<10)
		if e.Detail != "" {
			e.Detail += ": "
		}
		e.Detail += endpoint.Message(failed)
	}
	if err := a.deps.Access.Audit(context.WithoutCancel(r.Context()), e); err != nil {
		a.deps.Log.Error("an action is missing in the audit trail", "action", action, "by", p.Name, "object", s.object, "ok", e.OK, "error", err)
	}
}

// fail answers with an error.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	endpoint.WriteError(w, r, a.deps.Log, err)
}
