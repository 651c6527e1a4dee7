package wire

import (
	"time"

	"github.com/rind-project/rind/internal/access"
)

// LoginIn logs a person in.
type LoginIn struct {
	Name     string `json:"name" required:"true"`
	Password string `json:"password" required:"true"`
}

// UsersOut is every user.
type UsersOut struct {
	Users []access.User `json:"users"`
}

// UserIn makes a user.
type UserIn struct {
	Name     string `json:"name" required:"true"`
	Password string `json:"password" required:"true"`
	Role     string `json:"role" required:"true" doc:"viewer, operator or admin"`
}

// UserName names a user.
type UserName struct {
	Name string `path:"name" doc:"name of the user"`
}

// PasswordIn sets a user's password.
type PasswordIn struct {
	Name     string `path:"name" json:"-" doc:"name of the user"`
	Password string `json:"password" required:"true"`
}

// OwnPasswordIn changes the caller's own password.
type OwnPasswordIn struct {
	Old string `json:"old" required:"true"`
	New string `json:"new" required:"true"`
}

// RoleIn sets a user's role.
type RoleIn struct {
	Name string `path:"name" json:"-" doc:"name of the user"`
	Role string `json:"role" required:"true" doc:"viewer, operator or admin"`
}

// BindIn binds a user id of the server's machine to a user.
type BindIn struct {
	Name string `path:"name" json:"-" doc:"name of the user"`
	UID  int    `json:"uid" required:"true" doc:"user id on the server's machine; -1 unbinds"`
}

// TokensOut is the tokens that the caller may see.
type TokensOut struct {
	Tokens []access.TokenInfo `json:"tokens"`
}

// TokenIn makes a token for the caller.
type TokenIn struct {
	Name string `json:"name" required:"true" doc:"what it is for"`
	Role string `json:"role,omitempty" doc:"viewer, operator or admin, at most the caller's; the caller's without it"`
	TTL  Span   `json:"ttl,omitzero" doc:"life of the token; the configured one without it"`
}

// TokenID names a token.
type TokenID struct {
	ID string `path:"id" doc:"id of the token: its public part"`
}

// TokenOut is a new token. It is shown this once.
type TokenOut struct {
	Token string `json:"token"`
}

// AuditIn asks for the audit trail.
type AuditIn struct {
	Limit  int    `query:"limit" default:"100" min:"1" max:"1000" doc:"entries in one page"`
	Before string `query:"before" doc:"next of the page before"`
}

// AuditOut is a page of the audit trail, from new to old.
type AuditOut struct {
	Entries []access.Entry `json:"entries"`
	Next    string         `json:"next,omitempty" doc:"before of the next page; absent on the last"`
}

// Change is the data of each event of /events.
type Change struct {
	Time time.Time `json:"time"`
}
