package endpoint

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// KeepAlive is how often a silent stream sends a comment, so that proxies and
// clients know that it lives.
const KeepAlive = 15 * time.Second

// writeTimeout bounds one write: a client that reads nothing is let go.
const writeTimeout = 30 * time.Second

// Bounds of what is held back: an event that comes right behind another one,
// as the answers of a fleet do, is written with those that follow it.
const (
	holdEvents = 10 * time.Millisecond
	holdBytes  = 32 << 10
)

// Event is one server-sent event: a name and a value that is sent as JSON.
type Event struct {
	Name  string
	Value any
}

// Stream describes a route's output as server-sent events: the zero value of
// the data by the name of the event. It stands in access.Route.Out.
type Stream map[string]any

// Raw describes an input or an output that is not JSON. It stands in
// access.Route.In or Out.
type Raw struct {
	ContentType string
	MaxBytes    int64
	Params      any // zero value of the struct with the parameters of an input, or nil
}

// ServeStream sends events until the channel closes, the client leaves or the
// context ends. An event is sent at once, unless another one was sent in the
// last 10 ms.
func ServeStream(ctx context.Context, w http.ResponseWriter, events <-chan Event) {
	s := &stream{w: w, c: http.NewResponseController(w)}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back otherwise
	w.WriteHeader(http.StatusOK)
	if s.comment("open") != nil {
		return
	}
	tick := time.NewTicker(KeepAlive)
	defer tick.Stop()
	s.due = time.NewTimer(0)
	defer s.due.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			_ = s.flush() // the client may be there still
			return
		case <-tick.C:
			err = s.comment("keep-alive")
		case <-s.due.C:
			err = s.flush()
		case e, ok := <-events:
			if !ok {
				_ = s.flush()
				return
			}
			err = s.event(e)
		}
		if err != nil {
			return
		}
	}
}

// stream writes events to a client.
type stream struct {
	w    http.ResponseWriter
	c    *http.ResponseController
	held []byte      // what is not sent yet
	due  *time.Timer // fires when it is to be
	last time.Time   // when something was sent
}

func (s *stream) comment(text string) error {
	s.held = append(append(append(s.held, ": "...), text...), "\n\n"...)
	err := s.flush()
	s.last = time.Time{} // no event waits because of it
	return err
}

// event sends one event, or holds it back. JSON has no raw line breaks, so one
// data line holds it.
func (s *stream) event(e Event) error {
	data, err := json.Marshal(e.Value)
	if err != nil {
		return fmt.Errorf("encoding the event %s: %w", e.Name, err)
	}
	first := len(s.held) == 0
	s.held = append(append(append(s.held, "event: "...), e.Name...), "\ndata: "...)
	s.held = append(append(s.held, data...), "\n\n"...)
	calm := time.Since(s.last)
	switch {
	case calm >= holdEvents, len(s.held) >= holdBytes:
		return s.flush()
	case first:
		s.due.Reset(holdEvents - calm)
	}
	return nil
}

// flush sends what is held back.
func (s *stream) flush() error {
	if len(s.held) == 0 {
		return nil
	}
	// A writer without deadlines (a test recorder) just has none.
	_ = s.c.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := s.w.Write(s.held)
	if s.held = s.held[:0]; cap(s.held) > 2*holdBytes {
		s.held = nil
	}
	s.last = time.Now()
	if err != nil {
		return err
	}
	return s.c.Flush()
}
