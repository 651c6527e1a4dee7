package ingest

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/report"
)

// form is how a body is written.
type form struct {
	json     bool
	encoding string // of JSON: gzip, zstd or none
}

// form looks at what the headers say of the body.
func (s *Service) form(w http.ResponseWriter, r *http.Request) (form, *refusal) {
	f := form{encoding: strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding")))}
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind {
	case report.ContentType:
		if f.encoding != "" && f.encoding != "identity" {
			return f, unsupported("a report of type %s is compressed already: leave Content-Encoding out", kind)
		}
	case report.JSONType:
		if f.json = true; !report.KnownEncoding(f.encoding) {
			return f, unsupported("the content encoding is %.64q, it must be gzip or zstd, or left out", f.encoding)
		}
	default:
		return f, unsupported("the content type is %.64q, it must be %s or %s", kind, report.ContentType, report.JSONType)
	}
	if limit := int64(s.cfg.Limits.Compressed); r.ContentLength > limit {
		if r.Header.Get("Expect") == "" { // who waits for 100 Continue has sent nothing
			s.linger(w, r)
		}
		return f, &refusal{http.StatusRequestEntityTooLarge, tooLarge,
			errs.New(errs.TooLarge, "the report has %d bytes, at most %d are taken", r.ContentLength, limit)}
	}
	return f, nil
}

func unsupported(format string, args ...any) *refusal {
	return &refusal{http.StatusUnsupportedMediaType, malformed, errs.New(errs.Invalid, format, args...)}
}

// read takes the body and decodes it while it arrives. What it takes in memory
// is the ticket's.
func (s *Service) read(w http.ResponseWriter, r *http.Request, f form, t *ticket) (report.Received, *refusal) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(s.bodyDeadline()) // not every server can
	var rep report.Received
	var err error
	if f.json {
		rep, err = s.decoder.ReadJSON(r.Body, f.encoding, t.grow)
	} else {
		rep, err = s.decoder.Read(r.Body, t.grow)
	}
	if err == nil {
		_ = control.SetReadDeadline(time.Time{}) // it was the body's alone
		t.settle(rep.Memory)
		return rep, nil
	}
	var refused *refusal
	switch errs.KindOf(err) {
	case errs.RateLimited:
		refused = &refusal{http.StatusTooManyRequests, behind, err}
	case errs.TooLarge:
		refused = &refusal{http.StatusRequestEntityTooLarge, tooLarge, err}
	case errs.Invalid:
		refused = &refusal{http.StatusBadRequest, malformed, err}
	default:
		text := "the report was cut off"
		if errors.Is(err, os.ErrDeadlineExceeded) {
			text = "the report did not arrive within " + s.cfg.BodyTimeout.String()
		}
		return rep, &refusal{http.StatusRequestTimeout, tooSlow, errs.New(errs.Unavailable, "%s: %w", text, err)}
	}
	s.linger(w, r)
	return rep, refused
}

// linger takes in what is left of a body that is refused, within bounds: over
// HTTP/1.1 the connection is cut when it is closed with bytes on their way, and
// the answer with it.
func (s *Service) linger(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 1 {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(s.bodyDeadline())
	_, _ = io.CopyN(io.Discard, r.Body, lingerFactor*int64(s.cfg.Limits.Compressed))
}

// lingerFactor times the limit is how much of a body is taken to be able to
// answer.
const lingerFactor = 4

func (s *Service) bodyDeadline() time.Time { return time.Now().Add(s.cfg.BodyTimeout) }
