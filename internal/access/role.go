package access

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

// Role is what somebody may do. Each role may do what those below it may.
type Role int

// The roles. A viewer reads, an operator runs jobs too, an administrator also
// lets hosts and taps in and manages users.
const (
	NoRole Role = iota
	Viewer
	Operator
	Admin
)

var roleNames = [...]string{NoRole: "none", Viewer: "viewer", Operator: "operator", Admin: "admin"}

// String is the role's name, as in the database and in JSON.
func (r Role) String() string {
	if r < NoRole || r > Admin {
		return "none"
	}
	return roleNames[r]
}

// ParseRole reads the name of a role that somebody can have.
func ParseRole(name string) (Role, error) {
	for r := Viewer; r <= Admin; r++ {
		if roleNames[r] == name {
			return r, nil
		}
	}
	return NoRole, errs.New(errs.Invalid, "%q is no role; use viewer, operator or admin", shorten(name, 32))
}

// MarshalText writes the name.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (r *Role) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRole(string(text))
	return err
}

// The ways in which somebody can have shown who they are.
const (
	ViaSession = "session" // a browser's cookie
	ViaToken   = "token"   // an API token
	ViaSocket  = "socket"  // the peer of the unix socket
)

// Principal is who is asking.
type Principal struct {
	Name    string    `json:"name"` // of the user, or "uid:0" for the machine's administrator
	Role    Role      `json:"role"`
	Via     string    `json:"via"`
	TokenID string    `json:"token_id,omitempty"`
	Expires time.Time `json:"expires,omitzero"` // of the session or token
	// MustChange says that the session began with a one-time password: all that
	// it may do is change it.
	MustChange bool `json:"must_change,omitempty"`
}

// Require returns an error that says what to do unless the principal has the
// role, and a password of their own. It guards what a service does, besides the route's own check.
func (p Principal) Require(role Role, to string) error {
	if p.MustChange {
		return errMustChange()
	}
	if p.Role >= role {
		return nil
	}
	if p.Role == NoRole {
		return errs.New(errs.Unauthorized, "nobody known asks to %s; log in first", to)
	}
	return errs.New(errs.Forbidden, "the role %s of %s may not %s; ask an administrator for the role %s", p.Role, p.Name, to, role)
}

type principalKey struct{}

// lazy is a principal that is looked up when somebody asks, so that public
// routes need no database.
type lazy struct {
	find func() (Principal, bool)
}

// WithPrincipal returns a context that carries who is asking.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, lazy{func() (Principal, bool) { return p, true }})
}

// withLookup returns a context that finds out who is asking when needed.
func withLookup(ctx context.Context, find func() (Principal, bool)) context.Context {
	return context.WithValue(ctx, principalKey{}, lazy{sync.OnceValues(find)})
}

// PrincipalFrom returns who is asking, if anybody known is.
func PrincipalFrom(ctx context.Context) (Principal, bool) {
	l, ok := ctx.Value(principalKey{}).(lazy)
	if !ok {
		return Principal{}, false
	}
	return l.find()
}

var userName = regexp.MustCompile(`^[a-z][a-z0-9._@-]{0,63}$`)

// checkName refuses what cannot be a user's name.
func checkName(name string) error {
	if !userName.MatchString(name) {
		return errs.New(errs.Invalid, "%q is no user name; use up to 64 of a-z, 0-9, '.', '_', '@' and '-', beginning with a letter", shorten(name, 32))
	}
	return nil
}

// shorten cuts text from outside for a message.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return fmt.Sprintf("%s…", strings.ToValidUTF8(s[:n], ""))
}
