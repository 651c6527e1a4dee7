package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/base/errs"
)

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
	access.SetRetryAfter(w.Header(), err)
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="rind"`)
	}
	WriteJSON(w, status, wire.Error{Error: detail})
}

// describe words an error. The kind of a time-out that nobody gave a kind is
// Unavailable: what was waited for is not there just now.
func describe(ctx context.Context, err error) (wire.ErrorDetail, int) {
	kind := errs.KindOf(err)
	_, known := errors.AsType[*errs.Error](err)
	if !known && (ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded)) {
		return wire.ErrorDetail{
			Kind:    errs.Unavailable.String(),
			Message: "no answer came in time; try again, and look at `rind cluster status` when it lasts: it says what is short",
		}, http.StatusServiceUnavailable
	}
	return wire.ErrorDetail{Kind: kind.String(), Message: Message(err)}, access.Status(kind)
}

// Message is what of an error is meant for the person who asked: that of the
// part which has a kind, without what was wrapped around it on the way.
func Message(err error) string {
	if e, ok := errors.AsType[*errs.Error](err); ok && e.Kind != errs.Internal {
		return e.Error()
	}
	return "the server failed at this"
}

// WriteNotFound answers a request that no route matches. When the path takes
// other methods it says which.
func WriteNotFound(w http.ResponseWriter, r *http.Request, methods []string) {
	detail := wire.ErrorDetail{
		Kind:    errs.NotFound.String(),
		Message: "there is no " + quote(r.URL.Path) + " here; GET /api/v1/openapi.json lists what is",
	}
	status := http.StatusNotFound
	if len(methods) > 0 {
		all := strings.Join(methods, ", ")
		w.Header().Set("Allow", all)
		detail = wire.ErrorDetail{Kind: errs.Invalid.String(), Message: quote(r.URL.Path) + " does not take " + quote(r.Method) + ", but " + all}
		status = http.StatusMethodNotAllowed
	}
	WriteJSON(w, status, wire.Error{Error: detail})
}
