package access

import (
	"net/http"
	"net/url"
	"strings"
)

// isProgram reports whether a request has no use for a page: it brings a token,
// or takes no HTML (an event stream, Prometheus).
func isProgram(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return r.Header.Get("Authorization") != "" ||
		accept != "" && !strings.Contains(accept, "text/html") && !strings.Contains(accept, "*/*")
}

// sendToLogin sends a browser to the login page, and from there back to the
// page that it asked for.
func (g *Guard) sendToLogin(w http.ResponseWriter, r *http.Request, message string) {
	query := ""
	if r.Method == http.MethodGet {
		query = "?next=" + url.QueryEscape(r.URL.RequestURI())
	}
	send(w, r, g.opts.LoginPath, query, http.StatusUnauthorized, message)
}

// send sends a browser to another page. A request of a script, which would
// follow a redirect without showing it, gets the status, and htmx the header
// that makes it go there.
func send(w http.ResponseWriter, r *http.Request, path, query string, status int, message string) {
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case r.Header.Get("HX-Request") != "":
		w.Header().Set("HX-Redirect", path)
		http.Error(w, message, status)
	case isProgram(r):
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		http.Error(w, message, status)
	default:
		http.Redirect(w, r, path+query, http.StatusSeeOther)
	}
}
