package api

import (
	"cmp"
	"context"
	"net/http"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/endpoint"
	"github.com/rind-project/rind/internal/api/wire"
)

// op is one route with a typed input and output. An operation that changes
// something has an action, under which each try of it stands in the audit
// trail.
type op[In, Out any] struct {
	method, path string // path without the prefix
	need         access.Need
	summary      string
	maxBody      int64                                      // 0 is endpoint.MaxBody
	action       string                                     // "job.run"; "" reads only
	firstLogin   bool                                       // open to who has a one-time password
	own          bool                                       // the service itself writes successes into the trail
	object       func(in In, out Out) (what, detail string) // for the audit trail
	run          func(ctx context.Context, r *http.Request, in In) (Out, error)
}

// route makes a row of the route table of an operation.
func route[In, Out any](a *API, o op[In, Out]) access.Route {
	maxBody := cmp.Or(o.maxBody, endpoint.MaxBody)
	serve := func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := endpoint.DecodeWithin(r, &in, maxBody); err != nil {
			a.fail(w, r, err)
			return
		}
		out, err := o.run(r.Context(), r, in)
		if o.action != "" && (!o.own || err != nil) {
			a.audit(r, o.action, describe(o, in, out), err)
		}
		if err != nil {
			a.fail(w, r, err)
			return
		}
		answer(w, out)
	}
	return access.Route{
		Method: o.method, Pattern: prefix + o.path, Need: o.need, FirstLogin: o.firstLogin, Summary: o.summary,
		MaxBody: maxBody,
		In:      zero[In](), Out: zero[Out](), Handler: http.HandlerFunc(serve),
	}
}

func answer(w http.ResponseWriter, out any) {
	if _, empty := out.(wire.Empty); empty {
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	endpoint.WriteJSON(w, http.StatusOK, out)
}

// zero is the zero value of T for the route table, nil for none.
func zero[T any]() any {
	var v T
	if _, empty := any(v).(wire.Empty); empty {
		return nil
	}
	return v
}

type subject struct{ object, detail string }

func describe[In, Out any](o op[In, Out], in In, out Out) subject {
	if o.object == nil {
		return subject{}
	}
	object, detail := o.object(in, out)
	return subject{object, detail}
}
