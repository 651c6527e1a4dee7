package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/fleet/enroll/registrar"
)

func (a *API) enrollRoutes() []access.Route {
	return []access.Route{
		route(a, op[wire.EnrollTokenIn, wire.EnrollTokenOut]{
			method: http.MethodPost, path: "/enroll-tokens", need: access.NeedAdmin,
			summary: "make a token with which one host may enroll", action: "enroll.token",
			object: func(in wire.EnrollTokenIn, out wire.EnrollTokenOut) (string, string) {
				if in.AutoApprove {
					return out.ID, "approves by itself"
				}
				return out.ID, ""
			},
			run: a.makeEnrollToken,
		}),
		route(a, op[wire.EnrollmentsIn, wire.EnrollmentsOut]{
			method: http.MethodGet, path: "/enrollments", need: access.NeedViewer,
			summary: "list the enrollments", run: a.listEnrollments,
		}),
		route(a, op[wire.PeelIn, enroll.Record]{
			method: http.MethodGet, path: "/enrollments/{id}", need: access.NeedViewer,
			summary: "show an enrollment", run: a.showEnrollment,
		}),
		a.decision("approve", "approve an enrollment", func(ctx context.Context, e Enroll, id fleet.PeelID, in wire.ApproveIn) error {
			return e.Approve(ctx, id, who(ctx), in.Replace)
		}),
		a.decision("reject", "reject an enrollment for good", func(ctx context.Context, e Enroll, id fleet.PeelID, _ wire.ApproveIn) error {
			return e.Reject(ctx, id, who(ctx))
		}),
		a.decision("revoke", "end a peel's enrollment: it is disconnected at once and cannot return", func(ctx context.Context, e Enroll, id fleet.PeelID, _ wire.ApproveIn) error {
			return e.Revoke(ctx, id, who(ctx))
		}),
	}
}

// decision is a route that decides on an enrollment and answers with its record.
func (a *API) decision(verb, summary string, decide func(context.Context, Enroll, fleet.PeelID, wire.ApproveIn) error) access.Route {
	run := func(ctx context.Context, in wire.ApproveIn) (enroll.Record, error) {
		e, err := a.enroll()
		if err != nil {
			return enroll.Record{}, err
		}
		id, err := peelID(in.ID)
		if err != nil {
			return enroll.Record{}, err
		}
		if err := decide(ctx, e, id, in); err != nil {
			return enroll.Record{}, err
		}
		return e.Show(ctx, id)
	}
	path, action := "/enrollments/{id}/"+verb, "enroll."+verb
	if verb != "approve" {
		return route(a, op[wire.PeelIn, enroll.Record]{
			method: http.MethodPost, path: path, need: access.NeedAdmin, summary: summary, action: action,
			object: func(in wire.PeelIn, _ enroll.Record) (string, string) { return in.ID, "" },
			run: func(ctx context.Context, _ *http.Request, in wire.PeelIn) (enroll.Record, error) {
				return run(ctx, wire.ApproveIn{ID: in.ID})
			},
		})
	}
	return route(a, op[wire.ApproveIn, enroll.Record]{
		method: http.MethodPost, path: path, need: access.NeedAdmin, summary: summary, action: action,
		object: func(in wire.ApproveIn, _ enroll.Record) (string, string) {
			if in.Replace {
				return in.ID, "replaces the key that had the id"
			}
			return in.ID, ""
		},
		run: func(ctx context.Context, _ *http.Request, in wire.ApproveIn) (enroll.Record, error) {
			return run(ctx, in)
		},
	})
}

func (a *API) makeEnrollToken(ctx context.Context, r *http.Request, in wire.EnrollTokenIn) (wire.EnrollTokenOut, error) {
	e, err := a.enroll()
	if err != nil {
		return wire.EnrollTokenOut{}, err
	}
	t, err := e.CreateToken(ctx, registrar.TokenRequest{TTL: time.Duration(in.TTL), AutoApprove: in.AutoApprove, By: who(ctx)})
	if err != nil {
		return wire.EnrollTokenOut{}, err
	}
	return wire.EnrollTokenOut{
		ID: t.ID, Token: t.Secret, Expires: t.Expires,
		Join: a.join(r, "rind-peel enroll", t.Secret),
	}, nil
}

// join is the command to type on the machine that joins.
func (a *API) join(r *http.Request, command, token string) string {
	return command + " --server " + a.publicURL(r) + " --pin " + a.deps.Pin + " --token " + token
}

func (a *API) listEnrollments(ctx context.Context, _ *http.Request, in wire.EnrollmentsIn) (wire.EnrollmentsOut, error) {
	e, err := a.enroll()
	if err != nil {
		return wire.EnrollmentsOut{}, err
	}
	all, err := e.List(ctx, in.State)
	if err != nil {
		return wire.EnrollmentsOut{}, err
	}
	page, more := recordPage(all, in.After, in.Limit)
	out := wire.EnrollmentsOut{Enrollments: page}
	if more {
		out.Next = string(page[len(page)-1].ID)
	}
	return out, nil
}

// recordPage cuts a page out of all records. An id may have two, one that
// holds it and one that waits to replace it; they stay on one page.
func recordPage(all []enroll.Record, after string, limit int) (page []enroll.Record, more bool) {
	all = slices.SortedStableFunc(slices.Values(all), func(x, y enroll.Record) int { return cmp.Compare(x.ID, y.ID) })
	from := slices.IndexFunc(all, func(x enroll.Record) bool { return string(x.ID) > after })
	if from < 0 {
		return []enroll.Record{}, false
	}
	all = all[from:]
	for limit < len(all) && all[limit].ID == all[limit-1].ID {
		limit++
	}
	return cut(all, limit)
}

func (a *API) showEnrollment(ctx context.Context, _ *http.Request, in wire.PeelIn) (enroll.Record, error) {
	e, err := a.enroll()
	if err != nil {
		return enroll.Record{}, err
	}
	id, err := peelID(in.ID)
	if err != nil {
		return enroll.Record{}, err
	}
	return e.Show(ctx, id)
}
