package health

import (
	"encoding/json"
	"net/http"
)

// Handler serves /healthz and /readyz, and nothing else.
func (c *Checks) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", c.Healthz())
	mux.Handle("GET /readyz", c.Readyz())
	return mux
}

// Healthz answers 200 whenever the process can answer at all.
func (c *Checks) Healthz() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusOK, struct {
			Alive bool `json:"alive"`
		}{true})
	})
}

// Readyz answers with a Status: 200 when all checks pass, else 503.
func (c *Checks) Readyz() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := c.Ready(r.Context())
		code := http.StatusOK
		if !status.Ready {
			code = http.StatusServiceUnavailable
		}
		write(w, code, status)
	})
}

func write(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	// Nobody is left to tell when the client has gone.
	_ = json.NewEncoder(w).Encode(body)
}
