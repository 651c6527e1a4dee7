package access

import (
	"fmt"
	"net/http"
)

// Need is what a route asks of its caller. The zero value is no answer to the
// question, and Mount refuses it.
type Need int

// The needs.
const (
	needUnset    Need = iota
	Public            // anybody
	TapToken          // a bearer token, which the handler itself checks
	NeedViewer        // at least the role viewer
	NeedOperator      // at least the role operator
	NeedAdmin         // the role admin
)

var needNames = [...]string{
	needUnset: "unset", Public: "public", TapToken: "tap token",
	NeedViewer: "viewer", NeedOperator: "operator", NeedAdmin: "admin",
}

// String names the need, for documents and tests.
func (n Need) String() string {
	if n < 0 || int(n) >= len(needNames) {
		return "unset"
	}
	return needNames[n]
}

// role is the least role that meets the need.
func (n Need) role() Role {
	switch n {
	case NeedViewer:
		return Viewer
	case NeedOperator:
		return Operator
	case NeedAdmin:
		return Admin
	}
	return NoRole
}

// Route is one line of the table of everything that the server answers: API,
// pages, enrollment and ingest.
type Route struct {
	Method  string // one; GET serves HEAD too
	Pattern string // of http.ServeMux, without the method
	Need    Need
	// FirstLogin opens the route to who still has to change a one-time
	// password. Public routes are open anyway.
	FirstLogin bool
	Summary    string // one sentence for the API's description
	In, Out    any    // zero values of the bodies, or nil
	// MaxBody bounds the request's body in bytes; 0 is 1 MiB. Routes for taps
	// set their own limit in the handler.
	MaxBody int64
	Handler http.Handler
}

// defaultMaxBody bounds the bodies of routes that say nothing.
const defaultMaxBody = 1 << 20

// check refuses a route that is not complete.
func (r Route) check() error {
	switch {
	case r.Method == "" || r.Pattern == "" || r.Pattern[0] != '/':
		return fmt.Errorf("access: the route %q %q needs a method and a path", r.Method, r.Pattern)
	case r.Need <= needUnset || r.Need > NeedAdmin:
		return fmt.Errorf("access: the route %s %s does not say who may call it; set Need", r.Method, r.Pattern)
	case r.Handler == nil:
		return fmt.Errorf("access: the route %s %s has no handler", r.Method, r.Pattern)
	}
	return nil
}
