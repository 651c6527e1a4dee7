package health

import (
	"encoding/json"
	"net/http"
	"slices"
)

// Handler serves /healthz and /readyz, and nothing else, to whoever may reach
// the address that it is mounted at.
func (c *Checks) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", c.Healthz())
	mux.Handle("GET /readyz", c.Readyz(func(*http.Request) bool { return true }))
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

// Readyz answers with a Status: 200 when all checks pass, else 503. Why a check
// fails, which may name addresses and accounts, is told to those only whom
// trusted knows; it is asked when something fails.
func (c *Checks) Readyz(trusted func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := c.Ready(r.Context())
		code := http.StatusOK
		if !status.Ready {
			code = http.StatusServiceUnavailable
			if !trusted(r) {
				status = status.withoutErrors()
			}
		}
		write(w, code, status)
	})
}

// withoutErrors is a copy that names the checks only.
func (s Status) withoutErrors() Status {
	s.Checks = slices.Clone(s.Checks)
	for i := range s.Checks {
		if s.Checks[i].Error != "" {
			s.Checks[i].Error = "told to those who are signed in"
		}
	}
	return s
}

func write(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	// Nobody is left to tell when the client has gone.
	_ = json.NewEncoder(w).Encode(body)
}
