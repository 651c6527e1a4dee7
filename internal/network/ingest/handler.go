package ingest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/report"
)

// refusal is an answer other than 200.
type refusal struct {
	status int
	result string // for the counter
	err    error
}

// Handler answers POST /api/v1/reports:
//
//	200  committed, or duplicate: the tap removes the report
//	400  it is no report, 413 it is too large, 415 it is of another type,
//	422  its contents cannot be: the tap keeps it aside and goes on
//	401  the token is unknown, 403 it is revoked, expired or another tap's
//	408  the body did not arrive; 409 the tap's clock is wrong; 429 the node is behind; 503 the database
//	     did not commit, or the node ends: the tap tries again
//
// The token is checked before anything of the body is read, and the database
// is asked for a connection when the report has been decoded and checked.
func (s *Service) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := s.take(w, r)
		if out.refused != nil {
			s.refuse(w, r, out.refused)
			return
		}
		status := duplicate
		if out.fresh {
			status = committed
		}
		s.metrics.reports.WithLabelValues(status).Inc()
		answer(w, http.StatusOK, map[string]string{"status": status})
	})
}

func (s *Service) take(w http.ResponseWriter, r *http.Request) outcome {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	tap, known, err := s.tokens.authenticate(r.Context(), token)
	if err != nil {
		return outcome{refused: authRefusal(err)}
	}
	if refused := s.checkClock(r.Header.Get(report.TimeHeader)); refused != nil {
		return outcome{refused: refused}
	}
	form, refused := s.form(w, r)
	if refused != nil {
		return outcome{refused: refused}
	}
	if s.pressure() {
		return outcome{refused: &refusal{http.StatusTooManyRequests, memory,
			errs.New(errs.RateLimited, "this node is near its limit of memory (memory_limit) and takes no report just now: try again")}}
	}
	t := s.queue.admit(tap)
	if t == nil {
		return outcome{refused: &refusal{http.StatusTooManyRequests, behind, s.behind()}}
	}
	defer t.release()
	if s.stopping.Load() { // asked after the ticket was given: Stop waits for tickets
		return outcome{refused: &refusal{http.StatusServiceUnavailable, stopping, errs.New(errs.Unavailable, "this node is ending: try another one")}}
	}
	rep, refused := s.read(w, r, form, t)
	if refused != nil {
		return outcome{refused: refused}
	}
	if rep.Tap != tap {
		return outcome{refused: &refusal{http.StatusForbidden, foreign,
			errs.New(errs.Forbidden, "the report is of tap %q and the token of tap %q: give each tap its own spool and its own token", rep.Tap, tap)}}
	}
	if result, err := s.check(rep.Report, known.tenant); err != nil {
		return outcome{refused: &refusal{http.StatusUnprocessableEntity, result, err}}
	}
	out := s.await(r.Context(), t, rep, known.hash[:])
	s.decoder.Recycle(rep.Report) // nobody has it any more
	return out
}

// behind says why there is no room.
func (s *Service) behind() error {
	l := s.queue.load()
	return errs.New(errs.RateLimited, "this node is behind: %d reports, %d of %d bytes (node.ingest.queue_bytes), are on their way to the database: try again in %s",
		l.Requests, l.Bytes, l.Limit, s.queue.retryAfter())
}

func authRefusal(err error) *refusal {
	switch errs.KindOf(err) {
	case errs.Forbidden:
		return &refusal{http.StatusForbidden, unauthorized, err}
	case errs.Unauthorized:
		return &refusal{http.StatusUnauthorized, unauthorized, err}
	case errs.RateLimited:
		return &refusal{http.StatusTooManyRequests, guessing, err}
	}
	return &refusal{http.StatusServiceUnavailable, failed, errs.New(errs.Unavailable, "the database does not answer: try again")}
}

func (s *Service) refuse(w http.ResponseWriter, r *http.Request, f *refusal) {
	s.metrics.reports.WithLabelValues(f.result).Inc()
	if f.result == unauthorized || f.result == guessing {
		s.slow.wait(r.Context())
	}
	s.log.Debug("report refused", "status", f.status, "result", f.result, "from", r.RemoteAddr, "error", f.err)
	switch f.status {
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", strconv.Itoa(int(s.queue.retryAfter().Seconds())))
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="rind"`)
	}
	answer(w, f.status, map[string]any{"error": map[string]string{"kind": errs.KindOf(f.err).String(), "message": f.err.Error()}})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the tap is gone: it will ask again
}
