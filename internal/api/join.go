package api

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/fleet/enroll/registrar"
)

// joinRoutes are the four exchanges of a host that enrolls. They are public:
// what a host may do follows from its token and its key, which the registrar
// checks. Only the answer changes something that an administrator decides
// about, so only it stands in the audit trail, and only when it was accepted:
// strangers must not be able to fill the trail.
func (a *API) joinRoutes() []access.Route {
	return []access.Route{
		exchange(a, "begin", "ask for a nonce", Enroll.Begin, nil),
		exchange(a, "answer", "prove possession of the key, and ask to be enrolled", Enroll.Answer, func(in enroll.AnswerRequest, out enroll.AnswerResponse) subject {
			return subject{string(in.ID), "asks, is " + string(out.State)}
		}),
		exchange(a, "poll", "ask how the enrollment stands", Enroll.Poll, nil),
		exchange(a, "renew", "renew the permission for the bus", Enroll.Renew, nil),
	}
}

func exchange[In, Out any](a *API, verb, summary string, call func(Enroll, context.Context, In, netip.Addr) (Out, error), audited func(In, Out) subject) access.Route {
	return route(a, op[In, Out]{
		method: http.MethodPost, path: "/enroll/" + verb, need: access.Public,
		summary: summary + " (hosts do this)", maxBody: enroll.MaxBody,
		run: func(ctx context.Context, r *http.Request, in In) (Out, error) {
			e, err := a.enroll()
			if err != nil {
				var none Out
				return none, err
			}
			ctx = registrar.WithHost(ctx, hostName(r))
			out, err := call(e, ctx, in, access.ClientAddr(r))
			if err == nil && audited != nil {
				a.audit(r, "enroll.ask", audited(in, out), nil)
			}
			return out, err
		},
	})
}

// hostName is the name by which the host reached this server, without port.
func hostName(r *http.Request) string {
	return (&url.URL{Host: r.Host}).Hostname()
}
