package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/endpoint"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/event"
)

// Events keeps and shows what peels and people tell of.
type Events interface {
	Send(ctx context.Context, by, name string, data json.RawMessage) (fleet.Event, error)
	List(context.Context, event.Query) (events []fleet.Event, next uint64, err error)
	Latest(context.Context, event.Query) ([]fleet.Event, error)
	Watch(context.Context, event.Query) (<-chan fleet.EventStep, error)
}

func (a *API) eventRoutes() []access.Route {
	return []access.Route{
		route(a, op[wire.EventIn, fleet.Event]{
			method: http.MethodPost, path: "/events/send", need: access.NeedOperator,
			summary: "tell of an event", action: "event.send",
			object: func(in wire.EventIn, _ fleet.Event) (string, string) { return in.Name, clip(string(in.Data), 1<<10) },
			run:    a.sendEvent,
		}),
		route(a, op[wire.EventsIn, wire.EventsOut]{
			method: http.MethodGet, path: "/events/list", need: access.NeedViewer,
			summary: "list events, from old to new", run: a.listEvents,
		}),
		{
			Method: http.MethodGet, Pattern: prefix + "/events/watch", Need: access.NeedViewer,
			Summary: "follow events as they come",
			In:      wire.EventsWatchIn{}, Out: endpoint.Stream{"event": fleet.Event{}, "lost": wire.EventsLost{}, "place": wire.EventsPlace{}},
			Handler: http.HandlerFunc(a.watchEvents),
		},
	}
}

// events is who keeps events, or an error that says where one is.
func (a *API) events() (Events, error) {
	if a.deps.Events == nil {
		return nil, errs.New(errs.Unavailable, "this server is no master: ask one whose roles include master")
	}
	return a.deps.Events, nil
}

func (a *API) sendEvent(ctx context.Context, _ *http.Request, in wire.EventIn) (fleet.Event, error) {
	e, err := a.events()
	if err != nil {
		return fleet.Event{}, err
	}
	return e.Send(ctx, who(ctx), in.Name, in.Data)
}

func (a *API) listEvents(ctx context.Context, _ *http.Request, in wire.EventsIn) (wire.EventsOut, error) {
	e, err := a.events()
	if err != nil {
		return wire.EventsOut{}, err
	}
	now := a.deps.Now()
	q := event.Query{Glob: in.Glob, Since: in.Since.Or(now, now.Add(-time.Hour)), After: in.After, Limit: in.Limit}
	if in.Latest {
		if in.After > 0 {
			return wire.EventsOut{}, errs.New(errs.Invalid, "the latest events have no pages: leave latest or after out")
		}
		all, err := e.Latest(ctx, q)
		slices.Reverse(all)
		page, _ := cut(all, len(all))
		return wire.EventsOut{Events: page}, err
	}
	all, next, err := e.List(ctx, q)
	page, _ := cut(all, len(all))
	return wire.EventsOut{Events: page, Next: next}, err
}

func (a *API) watchEvents(w http.ResponseWriter, r *http.Request) {
	var in wire.EventsWatchIn
	err := endpoint.Decode(r, &in)
	e, noMaster := a.events()
	if err == nil {
		err = noMaster
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.serveStream(w, r, func(ctx context.Context) (<-chan endpoint.Event, error) {
		steps, err := e.Watch(ctx, event.Query{Glob: in.Glob, Since: in.Since.Or(a.deps.Now(), time.Time{}), After: in.After})
		if err != nil {
			return nil, err
		}
		return eventSteps(ctx, steps), nil
	})
}

// eventSteps names each step of a watch.
func eventSteps(ctx context.Context, in <-chan fleet.EventStep) <-chan endpoint.Event {
	out := make(chan endpoint.Event)
	go func() {
		defer close(out)
		for step := range in {
			e := endpoint.Event{Name: "event", Value: step.Event}
			switch {
			case step.Place > 0:
				e = endpoint.Event{Name: "place", Value: wire.EventsPlace{Seq: step.Place}}
			case step.Event == nil:
				e = endpoint.Event{Name: "lost", Value: wire.EventsLost{Events: step.Lost}}
			}
			select {
			case out <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}
