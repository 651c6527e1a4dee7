package natsd

import (
	"context"

	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/base/errs"
)

// Suspend closes the connections of a key and refuses every permission that
// was issued for it until now. It ends with the next permission that is issued
// for the key: whoever issues them decides how long that takes. So nothing has
// to be taken back, and the account forgets it with the last permission that
// it concerns, as it does a revocation.
//
// It returns when that is written down and the server has applied it.
func (s *Server) Suspend(ctx context.Context, pub string) error {
	if !nkeys.IsValidPublicUserKey(pub) {
		return errs.New(errs.Invalid, "suspending: %q is no public key of a user", pub)
	}
	return s.amend(ctx, func(a *account) bool { return a.suspend(pub) })
}

// suspend states that permissions issued until now are refused, which is what
// a revocation leaves behind that is taken back now. It reports whether that is
// new: a revocation goes further already.
func (a *account) suspend(pub string) bool {
	now := a.now()
	if at, ok := a.claims.Revocations[pub]; ok && at >= now.Unix() {
		return false
	}
	at := a.moment(pub)
	a.claims.ClearRevocation(pub)
	a.claims.RevokeAt(pub, now)
	setTaken(a.claims, pub, at.Unix())
	return true
}
