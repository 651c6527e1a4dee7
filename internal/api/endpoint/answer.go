package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/base/errs"
)

var statuses = map[errs.Kind]int{
	errs.Internal:     http.StatusInternalServerError,
	errs.Invalid:      http.StatusBadRequest,
	errs.NotFound:     http.StatusNotFound,
	errs.Conflict:     http.StatusConflict,
	errs.Unauthorized: http.StatusUnauthorized,
	errs.Forbidden:    http.StatusForbidden,
	errs.TooLarge:     http.StatusRequestEntityTooLarge,
	errs.RateLimited:  http.StatusTooManyRequests,
	errs.Unavailable:  http.StatusServiceUnavailable,
	errs.Gone:         http.StatusGone,
}

// Status is the HTTP status of a kind of error.
func Status(kind errs.Kind) int {
	if s, ok := statuses[kind]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// retrier is an error that knows when trying again may help.
type retrier interface{ RetryAfter() time.Duration }

// WriteJSON answers with a value.
func WriteJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		http.Error(w, `{"error":{"kind":"internal","message":"the answer could not be encoded"}}`, http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that went away wants no answer
}

// WriteError answers with an error. One of kind Internal goes to the log under
// a request id, and the client learns only the id.
func WriteError(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	detail, status := describe(r.Context(), err)
	if detail.Kind == errs.Internal.String() {
		detail.RequestID = uuid.NewString()
		detail.Message = "the server failed at this; its log has the details under request " + detail.RequestID
		log.Error("request failed", "request_id", detail.RequestID, "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if again, ok := errors.AsType[retrierError](err); ok {
		seconds := max(1, int(math.Ceil(again.RetryAfter().Seconds())))
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="rind"`)
	}
	WriteJSON(w, status, wire.Error{Error: detail})
}

type retrierError interface {
	error
	retrier
}

// describe words an error. The kind of a time-out that nobody gave a kind is
// Unavailable: what was waited for is not there just now.
func describe(ctx context.Context, err error) (wire.ErrorDetail, int) {
	kind := errs.KindOf(err)
	_, known := errors.AsType[*errs.Error](err)
	if !known && (ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded)) {
		return wire.ErrorDetail{
			Kind:    errs.Unavailable.String(),
			Message: "no answer came in time; try again",
		}, http.StatusServiceUnavailable
	}
	return wire.ErrorDetail{Kind: kind.String(), Message: err.Error()}, Status(kind)
}
