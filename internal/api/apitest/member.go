package apitest

import (
	"cmp"
	"context"
	"net/netip"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/member"
)

// Members lets servers in that bring the token "the-server-secret".
type Members struct{}

// CreateToken implements api.Members.
func (Members) CreateToken(_ context.Context, req member.TokenRequest) (member.Token, error) {
	return member.Token{ID: "s1", Secret: "the-server-secret", Roles: req.Roles, Expires: Now.Add(cmp.Or(req.TTL, time.Hour))}, nil
}

// Join implements api.Members.
func (Members) Join(_ context.Context, req member.Request, _ netip.Addr, _ string) (member.Gift, error) {
	if req.Token != "the-server-secret" {
		return member.Gift{}, errs.New(errs.Unauthorized, "this token is none of this fleet's")
	}
	return member.Gift{Pin: Pin, Roles: []string{"bus"}}, nil
}
