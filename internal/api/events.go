package api

import (
	"context"
	"net/http"
	"time"

	"github.com/rind-project/rind/internal/api/endpoint"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/base/errs"
)

const (
	// changeEvery bounds how often one kind of change is told to one client.
	changeEvery = time.Second
	// networkEvery is how often telemetry is said to have changed where nobody
	// tells: as often as taps report.
	networkEvery = 10 * time.Second
)

// changer is implemented by a Network that tells when rows were committed.
type changer interface {
	Changes(context.Context) <-chan struct{}
}

// serveStream serves a stream of events until its source, its client or the
// API ends, when there is a place for it.
func (a *API) serveStream(w http.ResponseWriter, r *http.Request, open func(context.Context) (<-chan endpoint.Event, error)) {
	select {
	case a.streams <- struct{}{}:
		defer func() { <-a.streams }()
	default:
		a.fail(w, r, errs.New(errs.Unavailable, "the server has %d open streams of events, its limit; try again later", maxStreams))
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(a.stopping, cancel)()
	events, err := open(ctx)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	endpoint.ServeStream(ctx, w, events)
}

func (a *API) followChanges(w http.ResponseWriter, r *http.Request) {
	if err := endpoint.Decode(r, &wire.Empty{}); err != nil {
		a.fail(w, r, err)
		return
	}
	a.serveStream(w, r, func(ctx context.Context) (<-chan endpoint.Event, error) {
		out := make(chan endpoint.Event)
		go a.watchChanges(ctx, out)
		return out, nil
	})
}

// watchChanges names what may have changed. Changes that come while a client
// is slow, or within changeEvery, become one event.
func (a *API) watchChanges(ctx context.Context, out chan<- endpoint.Event) {
	var hosts, rows <-chan struct{}
	if a.deps.Fleet != nil {
		hosts = a.deps.Fleet.Changes(ctx)
	}
	if c, ok := a.deps.Network.(changer); ok {
		rows = c.Changes(ctx)
	} else if a.deps.Network != nil {
		rows = ticks(ctx, networkEvery)
	}
	for {
		var names []string
		var ok bool
		select {
		case <-ctx.Done():
			return
		case _, ok = <-hosts:
			if names = []string{"peels", "jobs"}; !ok {
				hosts = nil
				continue
			}
		case _, ok = <-rows:
			if names = []string{"network"}; !ok {
				rows = nil
				continue
			}
		}
		if !a.tell(ctx, out, names) {
			return
		}
	}
}

func (a *API) tell(ctx context.Context, out chan<- endpoint.Event, names []string) bool {
	for _, name := range names {
		select {
		case out <- endpoint.Event{Name: name, Value: wire.Change{Time: a.deps.Now().UTC()}}:
		case <-ctx.Done():
			return false
		}
	}
	pause := time.NewTimer(changeEvery)
	defer pause.Stop()
	select {
	case <-pause.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func ticks(ctx context.Context, every time.Duration) <-chan struct{} {
	out := make(chan struct{})
	go func() {
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
			select {
			case out <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}
