package access

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
)

// Status is the HTTP status of a kind of error.
func Status(kind errs.Kind) int {
	switch kind {
	case errs.Invalid:
		return http.StatusBadRequest
	case errs.NotFound:
		return http.StatusNotFound
	case errs.Conflict:
		return http.StatusConflict
	case errs.Unauthorized:
		return http.StatusUnauthorized
	case errs.Forbidden:
		return http.StatusForbidden
	case errs.TooLarge:
		return http.StatusRequestEntityTooLarge
	case errs.RateLimited:
		return http.StatusTooManyRequests
	case errs.Unavailable:
		return http.StatusServiceUnavailable
	case errs.Gone:
		return http.StatusGone
	}
	return http.StatusInternalServerError
}

// Describe returns the kind and the message of an error that a caller may
// see. The text of an internal error is for the log only. A body over its
// limit is TooLarge.
func Describe(err error) (errs.Kind, string) {
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errs.TooLarge, "the request's body is over the limit of " + strconv.FormatInt(large.Limit, 10) + " bytes"
	}
	e, ok := errors.AsType[*errs.Error](err)
	if !ok || e.Kind == errs.Internal {
		return errs.Internal, "the server failed to do this; its log says why"
	}
	return e.Kind, e.Error()
}

// WriteError answers with an error as the API does:
// {"error":{"kind":"not_found","message":"…"}}.
func WriteError(w http.ResponseWriter, err error) {
	kind, message := Describe(err)
	var body struct {
		Error struct {
			Kind    string `json:"kind"`
			Message string `json:"message"`
		} `json:"error"`
	}
	body.Error.Kind, body.Error.Message = kind.String(), message
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	if kind == errs.Unauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="rind"`)
	}
	SetRetryAfter(h, err)
	w.WriteHeader(Status(kind))
	_ = json.NewEncoder(w).Encode(body) // the client has gone when it fails
}

// SetRetryAfter sets the header when the error says how long to wait.
func SetRetryAfter(h http.Header, err error) {
	if wait, ok := errors.AsType[*Wait](err); ok {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.For.Seconds()))))
	}
}

// refuse counts and answers a request that does not reach its handler.
func (g *Guard) refuse(w http.ResponseWriter, r *http.Request, err error) {
	reason := "error"
	if why, ok := errors.AsType[refusal](err); ok {
		reason = why.reason
	}
	g.service.metrics.refused.WithLabelValues(reason).Inc()
	kind, message := Describe(err)
	if kind == errs.Internal && r.Context().Err() == nil { // else the client has left
		g.service.log.Error("finding out who asks failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	switch {
	case strings.HasPrefix(r.URL.Path, "/api/"):
		WriteError(w, err)
	case kind == errs.Unauthorized && g.opts.LoginPath != "":
		g.sendToLogin(w, r, message)
	case reason == reasonMustChange && g.opts.PasswordPath != "":
		send(w, r, g.opts.PasswordPath, "", Status(kind), message)
	case g.opts.Refuse != nil:
		g.opts.Refuse(w, r, err)
	default:
		http.Error(w, message, Status(kind))
	}
}

// SafeNext is where to go after the login: next when it is a path of this
// server, else "/".
func SafeNext(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(next, "/") ||
		strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}
