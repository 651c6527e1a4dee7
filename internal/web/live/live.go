// Package live keeps pages up to date by server-sent events. A Hub bounds how
// many connections there are and how long each lives, so that an ended
// session does not watch for ever, and ends them all when the server stops.
package live

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/errs"
)

// The bounds of connections.
const (
	MaxStreams = 512
	maxLife    = 10 * time.Minute // then the browser connects again, and is checked again
	beat       = 20 * time.Second // a comment that keeps proxies from closing
	writeTime  = 10 * time.Second
)

// Hub holds the open connections. Use New.
type Hub struct {
	mu      sync.Mutex
	open    map[*Stream]struct{}
	stopped bool
	gauge   prometheus.Gauge
	refused prometheus.Counter
}

// New makes a hub; reg may be nil.
func New(reg prometheus.Registerer) *Hub {
	h := &Hub{
		open:    map[*Stream]struct{}{},
		gauge:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "rind_web_streams", Help: "Live connections of pages."}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "rind_web_streams_refused_total", Help: "Live connections refused because there were too many."}),
	}
	if reg != nil {
		reg.MustRegister(h.gauge, h.refused)
	}
	return h
}

// Start lets connections in again after a Stop.
func (h *Hub) Start(context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = false
	return nil
}

// Stop ends every connection.
func (h *Hub) Stop(context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	for s := range h.open {
		s.cancel()
	}
	return nil
}

// Stream is one connection. Its methods are for one goroutine.
type Stream struct {
	ctx    context.Context
	cancel context.CancelFunc
	hub    *Hub
	w      http.ResponseWriter
	rc     *http.ResponseController
	beat   *time.Ticker
}

// Open answers a request with a stream. The caller closes it.
func (h *Hub) Open(w http.ResponseWriter, r *http.Request) (*Stream, error) {
	ctx, cancel := context.WithTimeout(r.Context(), maxLife)
	s := &Stream{ctx: ctx, cancel: cancel, hub: h, w: w, rc: http.NewResponseController(w)}
	h.mu.Lock()
	full := len(h.open) >= MaxStreams
	stopped := h.stopped
	if !full && !stopped {
		h.open[s] = struct{}{}
		h.gauge.Set(float64(len(h.open)))
	}
	h.mu.Unlock()
	if full || stopped {
		cancel()
		h.refused.Inc()
		w.Header().Set("Retry-After", "10")
		return nil, errs.New(errs.Unavailable, "no live connection is free (at most %d); the page works without, reload it to see what is new", MaxStreams)
	}
	s.beat = time.NewTicker(beat)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	if err := s.write(": connected\nretry: 3000\n\n"); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close ends the connection.
func (s *Stream) Close() {
	s.cancel()
	s.beat.Stop()
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	delete(s.hub.open, s)
	s.hub.gauge.Set(float64(len(s.hub.open)))
}

// Context ends when the connection has to.
func (s *Stream) Context() context.Context { return s.ctx }

// Beat ticks when Idle should be called.
func (s *Stream) Beat() <-chan time.Time { return s.beat.C }

// Idle sends a comment, which tells whether the browser is still there.
func (s *Stream) Idle() error { return s.write(": idle\n\n") }

var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// Send writes an event. Every line of the data becomes a data field, so that
// no text can begin another field or event.
func (s *Stream) Send(event, data string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "event: %s\n", event)
	for line := range strings.SplitSeq(lineEnds.Replace(data), "\n") {
		b.WriteString("data: ")
		b.WriteString(line)
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	return s.write(b.String())
}

func (s *Stream) write(text string) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	// A connection that cannot set a deadline (in tests) writes without one.
	_ = s.rc.SetWriteDeadline(time.Now().Add(writeTime))
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.rc.Flush()
}
