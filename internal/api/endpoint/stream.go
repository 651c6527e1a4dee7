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
// context ends. Each event is flushed at once.
func ServeStream(ctx context.Context, w http.ResponseWriter, events <-chan Event) {
	s := stream{w: w, c: http.NewResponseController(w)}
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
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			err = s.comment("keep-alive")
		case e, ok := <-events:
			if !ok {
				return
			}
			err = s.event(e)
		}
		if err != nil {
			return
		}
	}
}

type stream struct {
	w http.ResponseWriter
	c *http.ResponseController
}

func (s stream) comment(text string) error { return s.send(": " + text + "\n\n") }

// event sends one event. JSON has no raw line breaks, so one data line holds it.
func (s stream) event(e Event) error {
	data, err := json.Marshal(e.Value)
	if err != nil {
		return fmt.Errorf("encoding the event %s: %w", e.Name, err)
	}
	return s.send("event: " + e.Name + "\ndata: " + string(data) + "\n\n")
}

func (s stream) send(text string) error {
	// A writer without deadlines (a test recorder) just has none.
	_ = s.c.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.c.Flush()
}
