package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
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
//	     did not commit: the tap tries again
//
// The token is checked before anything of the body is read, and the database
// is asked for a connection when the report has been decoded and checked.
func (s *Service) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fresh, refused := s.take(w, r)
		if refused != nil {
			s.refuse(w, r, refused)
			return
		}
		status := duplicate
		if fresh {
			status = committed
		}
		s.metrics.reports.WithLabelValues(status).Inc()
		answer(w, http.StatusOK, map[string]string{"status": status})
	})
}

func (s *Service) take(w http.ResponseWriter, r *http.Request) (fresh bool, _ *refusal) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	tap, err := s.tokens.authenticate(r.Context(), token)
	if err != nil {
		return false, authRefusal(err)
	}
	if refused := s.checkClock(r.Header.Get(report.TimeHeader)); refused != nil {
		return false, refused
	}
	limit := int64(s.cfg.Limits.Compressed)
	if r.ContentLength > limit {
		s.linger(w, r)
		return false, &refusal{http.StatusRequestEntityTooLarge, tooLarge,
			errs.New(errs.TooLarge, "the report has %d bytes, at most %d are taken", r.ContentLength, limit)}
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != report.ContentType {
		return false, &refusal{http.StatusUnsupportedMediaType, malformed,
			errs.New(errs.Invalid, "the content type is %q, it must be %s", kind, report.ContentType)}
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		return false, &refusal{http.StatusTooManyRequests, behind,
			errs.New(errs.RateLimited, "this node takes %d reports at once and is behind: try again in a moment", cap(s.slots))}
	}
	rep, size, refused := s.read(w, r, limit)
	if refused != nil {
		return false, refused
	}
	if rep.Tap != tap {
		return false, &refusal{http.StatusForbidden, foreign,
			errs.New(errs.Forbidden, "the report is of tap %q and the token of tap %q: give each tap its own spool and its own token", rep.Tap, tap)}
	}
	if result, err := s.check(rep); err != nil {
		return false, &refusal{http.StatusUnprocessableEntity, result, err}
	}
	return s.commit(r.Context(), rep, size)
}

// read takes the body and decodes it.
func (s *Service) read(w http.ResponseWriter, r *http.Request, limit int64) (*network.Report, int, *refusal) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(s.bodyDeadline()) // not every server can
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err == nil {
		_ = control.SetReadDeadline(time.Time{}) // it was the body's alone
	}
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		s.linger(w, r)
		return nil, 0, &refusal{http.StatusRequestEntityTooLarge, tooLarge,
			errs.New(errs.TooLarge, "the report has more than %d bytes", large.Limit)}
	}
	if err != nil {
		text := "the report was cut off"
		if errors.Is(err, os.ErrDeadlineExceeded) {
			text = "the report did not arrive within " + s.cfg.BodyTimeout.String()
		}
		return nil, 0, &refusal{http.StatusRequestTimeout, tooSlow, errs.New(errs.Unavailable, "%s: %w", text, err)}
	}
	rep, err := s.decoder.Decode(body)
	if errs.Is(err, errs.TooLarge) {
		return nil, 0, &refusal{http.StatusRequestEntityTooLarge, tooLarge, err}
	}
	if err != nil {
		return nil, 0, &refusal{http.StatusBadRequest, malformed, err}
	}
	return rep, len(body), nil
}

// linger takes in what is left of a body that is too large, within bounds: over
// HTTP/1.1 the connection is cut when it is closed with bytes on their way, and
// the answer with it. Who waits for 100 Continue has not sent any.
func (s *Service) linger(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 1 || r.Header.Get("Expect") != "" {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(s.bodyDeadline())
	_, _ = io.CopyN(io.Discard, r.Body, lingerFactor*int64(s.cfg.Limits.Compressed))
}

// lingerFactor times the limit is how much of a body is taken to be able to
// answer.
const lingerFactor = 4

func (s *Service) bodyDeadline() time.Time { return time.Now().Add(s.cfg.BodyTimeout) }

func (s *Service) commit(ctx context.Context, rep *network.Report, size int) (bool, *refusal) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CommitTimeout)
	defer cancel()
	fresh, err := s.Commit(ctx, rep)
	if err != nil {
		if errs.Is(err, errs.Forbidden) {
			return false, authRefusal(err)
		}
		s.log.Error("a report could not be committed", "tap", rep.Tap, "sequence", rep.Sequence, "error", err)
		return false, &refusal{http.StatusServiceUnavailable, failed,
			errs.New(errs.Unavailable, "the database did not take the report: it will be tried again")}
	}
	if fresh {
		s.metrics.bytes.Add(float64(size))
		s.metrics.lag.Observe(s.now().Sub(rep.End).Seconds())
		s.metrics.count(rep)
		s.audit(rep)
	}
	return fresh, nil
}

// audit tells of ledgers that do not add up. They are kept as they are: what
// the tap saw is worth more than its mistake.
func (s *Service) audit(rep *network.Report) {
	for _, l := range rep.Interfaces {
		if !l.Balanced() {
			s.metrics.wrong.Inc()
			s.log.Warn("a ledger does not add up: this is a defect of the tap", "tap", rep.Tap, "sequence", rep.Sequence, "ledger", l)
		}
	}
}

func authRefusal(err error) *refusal {
	switch errs.KindOf(err) {
	case errs.Forbidden:
		return &refusal{http.StatusForbidden, unauthorized, err}
	case errs.Unauthorized:
		return &refusal{http.StatusUnauthorized, unauthorized, err}
	}
	return &refusal{http.StatusServiceUnavailable, failed, errs.New(errs.Unavailable, "the database does not answer: try again")}
}

func (s *Service) refuse(w http.ResponseWriter, r *http.Request, f *refusal) {
	s.metrics.reports.WithLabelValues(f.result).Inc()
	s.log.Debug("report refused", "status", f.status, "from", r.RemoteAddr, "error", f.err)
	switch f.status {
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "2")
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
