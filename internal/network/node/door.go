package node

import (
	"encoding/json"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/memory"
)

// door stands before the ingest: it measures what goes in, and refuses when
// the node drains or is short of memory. Refusing costs no memory, and comes
// before the tap is asked for its token.
type door struct {
	next    http.Handler
	memory  *memory.Gauge
	closed  func() bool // the node drains
	refused *prometheus.CounterVec

	inside   atomic.Int64 // requests
	answered atomic.Int64 // requests, ever
	turned   atomic.Int64 // answered 429 or 503, ever
	short    atomic.Int64 // of them, for want of memory
	reports  atomic.Int64 // requests that were looked at, ever: their times are those below
	took     atomic.Int64 // nanoseconds until the answers, ever
	received atomic.Int64 // nanoseconds of them that waited for bodies, ever
}

// Why the door refuses, as the counter says.
const (
	reasonMemory   = "memory"
	reasonDraining = "draining"
)

func newDoor(next http.Handler, closed func() bool, gauge *memory.Gauge, reg prometheus.Registerer) *door {
	d := &door{next: next, closed: closed, memory: gauge, refused: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rind_node_refused_total", Help: "Reports that the node refused before it looked at them, by reason; taps keep theirs and try again.",
	}, []string{"reason"})}
	for _, reason := range []string{reasonMemory, reasonDraining} {
		d.refused.WithLabelValues(reason)
	}
	if reg != nil {
		reg.MustRegister(d.refused, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "rind_node_requests", Help: "Reports that are being taken.",
		}, func() float64 { return float64(d.inside.Load()) }))
	}
	return d
}

// ServeHTTP takes a report, or refuses it.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	d.inside.Add(1)
	seen := &watched{ResponseWriter: w, status: http.StatusOK}
	body := &timed{ReadCloser: r.Body}
	defer func() {
		d.inside.Add(-1)
		d.answered.Add(1)
		if seen.status == http.StatusTooManyRequests || seen.status == http.StatusServiceUnavailable {
			d.turned.Add(1)
		}
		if slow(seen.status) {
			d.reports.Add(1)
			d.took.Add(int64(time.Since(began)))
			d.received.Add(int64(body.waited))
		}
	}()
	if r.Body != nil {
		r.Body = body
	}
	switch {
	case d.closed():
		d.refuse(seen, http.StatusServiceUnavailable, "1", reasonDraining, errs.New(errs.Unavailable, "this node is draining: the report will be taken by another"))
	case d.memory.Near():
		d.short.Add(1)
		d.refuse(seen, http.StatusTooManyRequests, "5", reasonMemory, errs.New(errs.RateLimited, "this node is near its memory limit: the report will be tried again"))
	default:
		d.next.ServeHTTP(seen, r)
	}
}

// slow reports whether the time until an answer says how fast this node takes
// reports: refusals are given at once, and those of bad tokens after a pause.
func slow(status int) bool {
	return status != http.StatusTooManyRequests && status != http.StatusUnauthorized && status != http.StatusForbidden
}

func (d *door) refuse(w http.ResponseWriter, status int, after, reason string, err error) {
	d.refused.WithLabelValues(reason).Inc()
	w.Header().Set("Retry-After", after)
	w.Header().Set("Connection", "close") // a balancer's next request goes elsewhere
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{
		"kind": errs.KindOf(err).String(), "message": err.Error(), "reason": reason,
	}})
}

// watched remembers the status of an answer.
type watched struct {
	http.ResponseWriter
	status int
}

// WriteHeader remembers the status.
func (w *watched) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach what is below.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// timed measures how long its reader waited for the body.
type timed struct {
	io.ReadCloser
	waited time.Duration
}

// Read reads.
func (t *timed) Read(p []byte) (int, error) {
	began := time.Now()
	n, err := t.ReadCloser.Read(p)
	t.waited += time.Since(began)
	return n, err
}
