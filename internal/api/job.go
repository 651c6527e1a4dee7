package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/endpoint"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
	"github.com/rind-project/rind/internal/fleet/master"
)

func (a *API) jobRoutes() []access.Route {
	return []access.Route{
		route(a, op[wire.JobIn, fleet.Job]{
			method: http.MethodPost, path: "/jobs", need: access.NeedOperator,
			summary: "run a function on the hosts of a target",
			action:  "job.run", object: describeJob, run: a.runJob,
		}),
		route(a, op[wire.JobsIn, wire.JobsOut]{
			method: http.MethodGet, path: "/jobs", need: access.NeedViewer,
			summary: "list the latest jobs", run: a.listJobs,
		}),
		route(a, op[wire.JIDIn, wire.JobOut]{
			method: http.MethodGet, path: "/jobs/{jid}", need: access.NeedViewer,
			summary: "show a job with its returns", run: a.showJob,
		}),
		route(a, op[wire.JobIn, fleet.JobPlan]{
			method: http.MethodPost, path: "/jobs/plan", need: access.NeedOperator,
			summary: "say what a job would do: its waves, and whom they hold; nothing is sent", run: a.planJob,
		}),
		a.controlRoute(master.Cancel, "end a job: nobody else gets it, and it is ended where it runs"),
		a.controlRoute(master.Pause, "send a job to nobody else until it is resumed"),
		a.controlRoute(master.Resume, "go on with a job that is paused"),
		route(a, op[wire.JIDIn, fleet.Job]{
			method: http.MethodPost, path: "/jobs/{jid}/retry", need: access.NeedOperator,
			summary: "run a job again on the hosts that failed, did not answer or did not get it",
			action:  "job.retry", object: func(in wire.JIDIn, out fleet.Job) (string, string) { return in.JID, "as " + out.JID }, run: a.retryJob,
		}),
		{
			Method: http.MethodGet, Pattern: prefix + "/jobs/{jid}/events", Need: access.NeedViewer,
			Summary: "follow a job: its returns so far, then each as it arrives, then its end",
			In:      wire.JIDIn{}, Out: endpoint.Stream{"return": fleet.Return{}, "step": fleet.Job{}, "done": fleet.Job{}},
			Handler: http.HandlerFunc(a.followJob),
		},
	}
}

// describeJob words a job for the audit trail, with what it was asked to run.
func describeJob(in wire.JobIn, out fleet.Job) (object, detail string) {
	words := []string{"target", strconv.Quote(in.Target), "function", in.Function}
	for _, arg := range in.Args {
		words = append(words, strconv.Quote(arg))
	}
	if r, err := json.Marshal(out.Rollout); err == nil && string(r) != "{}" {
		words = append(words, "rollout", string(r))
	}
	if !out.Start.IsZero() {
		words = append(words, "start", out.Start.Format(time.RFC3339))
	}
	return out.JID, clip(strings.Join(words, " "), 4<<10)
}

func (a *API) runJob(ctx context.Context, _ *http.Request, in wire.JobIn) (fleet.Job, error) {
	m, err := a.fleet()
	if err != nil {
		return fleet.Job{}, err
	}
	if err := schema.Check(in.Function, in.Args); err != nil {
		return fleet.Job{}, err
	}
	return m.Run(ctx, in.Request(a.deps.Now(), who(ctx)))
}

func (a *API) planJob(ctx context.Context, _ *http.Request, in wire.JobIn) (fleet.JobPlan, error) {
	m, err := a.fleet()
	if err != nil {
		return fleet.JobPlan{}, err
	}
	if err := schema.Check(in.Function, in.Args); err != nil {
		return fleet.JobPlan{}, err
	}
	return m.Plan(ctx, in.Request(a.deps.Now(), who(ctx)))
}

// controlRoute is a route that does something to a job that goes on.
func (a *API) controlRoute(action, summary string) access.Route {
	return route(a, op[wire.JIDIn, fleet.Job]{
		method: http.MethodPost, path: "/jobs/{jid}/" + action, need: access.NeedOperator, summary: summary,
		action: "job." + action, object: func(in wire.JIDIn, out fleet.Job) (string, string) { return in.JID, out.Reason },
		run: func(ctx context.Context, _ *http.Request, in wire.JIDIn) (fleet.Job, error) {
			m, err := a.fleet()
			if err == nil {
				err = checkJID(in.JID)
			}
			if err != nil {
				return fleet.Job{}, err
			}
			return m.Control(ctx, in.JID, action, who(ctx))
		},
	})
}

func (a *API) retryJob(ctx context.Context, _ *http.Request, in wire.JIDIn) (fleet.Job, error) {
	m, err := a.fleet()
	if err == nil {
		err = checkJID(in.JID)
	}
	if err != nil {
		return fleet.Job{}, err
	}
	return m.Retry(ctx, in.JID, who(ctx))
}

func (a *API) listJobs(ctx context.Context, _ *http.Request, in wire.JobsIn) (wire.JobsOut, error) {
	m, err := a.fleet()
	if err != nil {
		return wire.JobsOut{}, err
	}
	all, err := m.Jobs(ctx, in.Limit)
	page, _ := cut(all, in.Limit)
	return wire.JobsOut{Jobs: page}, err
}

func (a *API) showJob(ctx context.Context, _ *http.Request, in wire.JIDIn) (wire.JobOut, error) {
	m, err := a.fleet()
	if err != nil {
		return wire.JobOut{}, err
	}
	if err := checkJID(in.JID); err != nil {
		return wire.JobOut{}, err
	}
	job, returns, err := m.Job(ctx, in.JID)
	page, _ := cut(returns, len(returns))
	return wire.JobOut{Job: job, Returns: page}, err
}

func (a *API) followJob(w http.ResponseWriter, r *http.Request) {
	var in wire.JIDIn
	err := endpoint.Decode(r, &in)
	if err == nil {
		err = checkJID(in.JID)
	}
	m, noMaster := a.fleet()
	if err == nil {
		err = noMaster
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.serveStream(w, r, func(ctx context.Context) (<-chan endpoint.Event, error) {
		events, err := m.Watch(ctx, in.JID)
		if err != nil {
			return nil, err
		}
		return jobEvents(ctx, events), nil
	})
}

// jobEvents names each step of a job. It ends after done.
func jobEvents(ctx context.Context, in <-chan fleet.JobEvent) <-chan endpoint.Event {
	out := make(chan endpoint.Event, cap(in))
	go func() {
		defer close(out)
		for e := range in {
			event := endpoint.Event{Name: "return", Value: e.Return}
			switch {
			case e.Done != nil:
				event = endpoint.Event{Name: "done", Value: e.Done}
			case e.Step != nil:
				event = endpoint.Event{Name: "step", Value: e.Step}
			}
			select {
			case out <- event:
			case <-ctx.Done():
				return
			}
			if e.Done != nil {
				return
			}
		}
	}()
	return out
}

// checkJID refuses what cannot be a job's id before it becomes a key.
func checkJID(s string) error {
	if _, err := uuid.Parse(s); err != nil || len(s) != 36 || s != strings.ToLower(s) {
		return errs.New(errs.Invalid, "%.64q is not a job's id; rind job list shows the latest", s)
	}
	return nil
}

// clip bounds a text in bytes.
func clip(s string, longest int) string {
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest], "") + "…"
}
