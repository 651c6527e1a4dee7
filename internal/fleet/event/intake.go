package event

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// Bounds of what is on its way into the stream.
const (
	maxStoring  = 64
	maxPending  = 64 << 20 // bytes that wait to be looked at
	storeWait   = 5 * time.Second
	intakeQueue = "masters" // each event is taken by one master
)

// onEvent takes what a peel tells.
func (s *Service) onEvent(l *live, msg *nats.Msg) {
	id, name, ok := bus.ParseEvent(msg.Subject)
	if ok && s.deps.Passes != nil && !s.deps.Passes(id, len(msg.Data)+len(msg.Subject)) {
		s.metrics.refused.WithLabelValues("flood").Inc() // and not answered, which would be work
		return
	}
	if !ok || !bus.OwnReply(msg, id) {
		s.metrics.refused.WithLabelValues("stray").Inc()
		return
	}
	if !l.pace.Allow(id, time.Now()) {
		s.metrics.refused.WithLabelValues("too_often").Inc()
		bus.Refuse(msg, "this peel sends more events than events.rate and events.burst of the server allow; send fewer")
		return
	}
	said, err := readSaid(name, msg.Data)
	if err != nil {
		s.metrics.refused.WithLabelValues(errs.KindOf(err).String()).Inc()
		bus.Refuse(msg, err.Error())
		return
	}
	select {
	case l.slot <- struct{}{}:
	case <-l.ctx.Done():
		return
	}
	l.wg.Go(func() {
		defer func() { <-l.slot }()
		e := fleet.Event{ID: said.ID, Name: name, Peel: id, Data: said.Data}
		if _, err := s.store(l.ctx, l, id, e); err != nil {
			s.metrics.unstored.Inc()
			bus.Retry(msg, err.Error())
			return
		}
		bus.Accept(msg)
	})
}

// readSaid holds what a peel says against the limits.
func readSaid(name string, data []byte) (said fleet.EventSaid, err error) {
	if err := fleet.CheckEventName(name); err != nil {
		return said, errs.New(errs.Invalid, "%w", err)
	}
	if len(data) > fleet.MaxEventData+1<<10 {
		return said, errs.New(errs.TooLarge, "the event has %d bytes, at most %d are taken", len(data), fleet.MaxEventData)
	}
	if err := json.Unmarshal(data, &said); err != nil {
		return said, errs.New(errs.Invalid, "the event cannot be read: %w", err)
	}
	if err := said.Check(); err != nil {
		return said, errs.New(errs.Invalid, "%w", err)
	}
	return said, nil
}

// store returns when the event is in the stream. An event that has an id is
// stored once, however often it is told.
func (s *Service) store(ctx context.Context, l *live, id fleet.PeelID, e fleet.Event) (fleet.Event, error) {
	var opts []jetstream.PublishOpt
	if e.ID != "" {
		opts = append(opts, jetstream.WithMsgID("event."+string(id)+"."+e.ID))
	} else {
		e.ID = fleet.NewEventID()
	}
	e.At = time.Now().UTC()
	data, err := fleet.Encode(e)
	if err != nil {
		return e, err
	}
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	ack, err := l.js.Publish(ctx, bus.StoredEventSubject(id, e.Name), data, opts...)
	if err != nil {
		return e, bus.Explain(bus.EventsStream, err)
	}
	e.Seq = ack.Sequence
	sender := "peel"
	if e.Peel == "" {
		sender = "person"
	}
	s.metrics.stored.WithLabelValues(sender).Inc()
	return e, nil
}

// Send keeps an event that a person or a program tells, and returns it as it
// is stored.
func (s *Service) Send(ctx context.Context, by, name string, data json.RawMessage) (fleet.Event, error) {
	l, err := s.running()
	if err != nil {
		return fleet.Event{}, err
	}
	if err := fleet.CheckEventName(name); err != nil {
		return fleet.Event{}, errs.New(errs.Invalid, "%w", err)
	}
	if len(data) > fleet.MaxEventData {
		return fleet.Event{}, errs.New(errs.TooLarge, "the event's data has %d bytes, at most %d are taken", len(data), fleet.MaxEventData)
	}
	if len(data) > 0 {
		if err := fleet.CheckValue(data, fleet.MaxEventData); err != nil {
			return fleet.Event{}, errs.New(errs.Invalid, "the event's data: %w", err)
		}
	}
	return s.store(ctx, l, bus.ByPeople, fleet.Event{Name: name, By: by, Data: data})
}
