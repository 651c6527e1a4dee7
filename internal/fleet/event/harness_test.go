package event_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/event"
	"github.com/rind-project/rind/internal/fleet/fleettest"
)

// begin starts a service on a broker.
func begin(t *testing.T, w *fleettest.World) (*event.Service, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	s := event.New(event.Config{Rate: 1000, Burst: 1000}, event.Deps{Log: fleettest.Log(), Metrics: reg,
		NC: func() *nats.Conn { return w.NC }, JS: func() jetstream.JetStream { return w.JS }})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fleettest.Stop(t, s) })
	return s, reg
}

// told lets a person tell of an event.
func told(t *testing.T, s *event.Service, name, data string) fleet.Event {
	t.Helper()
	e, err := s.Send(t.Context(), "anna", name, []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// watch watches until the test, or a call of the function, ends it.
func watch(t *testing.T, s *event.Service, q event.Query) (<-chan fleet.EventStep, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	steps, err := s.Watch(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cancel)
	return steps, cancel
}

// next is the next event of a watch.
func next(t *testing.T, steps <-chan fleet.EventStep) fleet.Event {
	t.Helper()
	select {
	case s, ok := <-steps:
		if s.Place > 0 {
			return next(t, steps)
		}
		if !ok || s.Event == nil {
			t.Fatalf("got %+v, open is %v", s, ok)
		}
		return *s.Event
	case <-time.After(20 * time.Second):
		t.Fatal("no event came")
	}
	return fleet.Event{}
}

func consumers(t *testing.T, w *fleettest.World) error {
	stream, err := w.JS.Stream(t.Context(), bus.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Consumers; n != 1 {
		return fmt.Errorf("%d consumers", n)
	}
	return nil
}
