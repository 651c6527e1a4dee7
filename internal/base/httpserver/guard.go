package httpserver

import (
	"context"
	"errors"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// guard wraps the handler in what every request needs, whoever serves it.
func (s *Server) guard(stopping context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w := &tracked{ResponseWriter: rw}
		defer s.recovered(w, r)
		if s.deps.Draining != nil && s.deps.Draining() {
			w.Header().Set("Connection", "close") // over HTTP/2 it becomes GOAWAY
		}
		if wantsEvents(r) {
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(stopping, cancel)()
			r = r.WithContext(ctx)
		}
		if r.Body != nil && r.Body != http.NoBody {
			// net/http lifts the deadline once the body has been read.
			_ = http.NewResponseController(rw).SetReadDeadline(time.Now().Add(s.cfg.BodyTimeout))
		}
		next.ServeHTTP(w, r)
	})
}

// wantsEvents reports whether the answer may be an endless stream. Its context
// ends as soon as the server begins to stop, so that an open page does not hold
// the stop up; other requests are given time to finish.
func wantsEvents(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}

// recovered turns a panic into a log line with a stack and, when nothing has
// been sent yet, an answer. Else the connection is cut, so that half an answer
// is not taken for a whole one. http.ErrAbortHandler passes, as net/http has it.
func (s *Server) recovered(w *tracked, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	s.deps.Log.Error("handler panicked", "method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
	if w.sent {
		panic(http.ErrAbortHandler)
	}
	http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
}

// tracked remembers whether an answer was begun.
type tracked struct {
	http.ResponseWriter
	sent bool
}

// WriteHeader implements http.ResponseWriter.
func (t *tracked) WriteHeader(code int) {
	t.sent = t.sent || code >= http.StatusOK || code == http.StatusSwitchingProtocols
	t.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (t *tracked) Write(p []byte) (int, error) {
	t.sent = true
	return t.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (t *tracked) Flush() { _ = t.FlushError() }

// FlushError is what http.ResponseController calls.
func (t *tracked) FlushError() error {
	t.sent = true
	return http.NewResponseController(t.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController reach deadlines and hijacking.
func (t *tracked) Unwrap() http.ResponseWriter { return t.ResponseWriter }
