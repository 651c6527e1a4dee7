// Package member lets further servers into a fleet: an administrator makes a
// token, and the server that brings it over HTTPS is given the fleet's keys
// and what it needs to know of the others.
//
// Whoever has what is given owns the bus, and with a master's share the fleet.
// So a token is short-lived and serves once, and the server that joins has to
// know the pin of the fleet's CA before it says anything.
package member

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

// Lives of a token.
const (
	DefaultTTL = 15 * time.Minute
	MaxTTL     = 24 * time.Hour
)

// Limits of what goes over the wire.
const (
	MaxFiles    = 64
	MaxFile     = 2 << 20
	MaxRequest  = 8 << 10
	MaxGift     = 8 << 20
	maxHostname = 255
)

// TokenRequest asks for a token.
type TokenRequest struct {
	TTL   time.Duration // 0: DefaultTTL
	Roles []string      // of the server that will join
	By    string        // who asks
}

// Token lets one server join. The secret is shown once.
type Token struct {
	ID      string
	Secret  string
	Roles   []string
	Expires time.Time
}

// Request is what a server says that wants to join.
type Request struct {
	Token       string `json:"token" doc:"the secret that rind server token printed"`
	Host        string `json:"host,omitempty" doc:"host name, for people"`
	ClusterPort int    `json:"cluster_port,omitempty" doc:"port where the other servers of the cluster will reach this one"`
}

// Validate reports the first value that cannot be.
func (r Request) Validate() error {
	switch {
	case r.Token == "":
		return errs.New(errs.Invalid, "a token is needed: run rind server token on a server of the fleet")
	case len(r.Host) > maxHostname:
		return errs.New(errs.TooLarge, "the host's name has %d bytes, at most %d are allowed", len(r.Host), maxHostname)
	case r.ClusterPort < 0 || r.ClusterPort > 65535:
		return errs.New(errs.Invalid, "%d is no port", r.ClusterPort)
	}
	return nil
}

// File is a file of the data folder.
type File struct {
	Path string `json:"path" doc:"below the data folder, with slashes"`
	Data []byte `json:"data"`
}

// Gift is what a server is given that joins.
type Gift struct {
	Pin         string   `json:"pin" doc:"of the fleet's CA"`
	Roles       []string `json:"roles"`
	Files       []File   `json:"files" doc:"the fleet's keys and its CA"`
	DatabaseURL string   `json:"database_url,omitempty" doc:"where the servers of the fleet keep what must never be lost"`
	Cluster     string   `json:"cluster,omitempty" doc:"name of the bus's cluster"`
	Routes      []string `json:"routes,omitempty" doc:"where the other servers of the cluster listen, host:port"`
	Streams     bool     `json:"streams,omitempty" doc:"whether the server is to keep streams"`
}

// Validate reports what a server must not accept, whoever sent it.
func (g Gift) Validate() error {
	if len(g.Files) == 0 || len(g.Files) > MaxFiles {
		return errs.New(errs.Invalid, "the server gave %d files", len(g.Files))
	}
	for _, f := range g.Files {
		dir, name := path.Split(f.Path)
		if dir != "pki/" && dir != "keys/" || name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, `\:`) {
			return errs.New(errs.Invalid, "the server gave a file that is none of a fleet's keys: %.100q", f.Path)
		}
		if len(f.Data) == 0 || len(f.Data) > MaxFile {
			return errs.New(errs.Invalid, "the file %s has %d bytes", f.Path, len(f.Data))
		}
	}
	return nil
}

// Has reports whether the server is to have one of the roles.
func (g Gift) Has(roles ...string) bool { return hasRole(g.Roles, roles...) }

func hasRole(have []string, any ...string) bool {
	return slices.ContainsFunc(any, func(r string) bool { return slices.Contains(have, r) })
}
