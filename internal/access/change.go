package access

import (
	"context"
	"net/netip"

	"github.com/rind-project/rind/internal/access/password"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
)

// reasonMustChange is under what the refusals of one-time passwords are counted.
const reasonMustChange = "must_change"

// errMustChange is what a session gets that began with a one-time password.
func errMustChange() error {
	return errs.New(errs.Forbidden, "change your password first: open /account, or POST /api/v1/password")
}

// SetPassword sets a user's password without asking for the old one, and ends
// the user's sessions. Unless it is the caller's own, the user has to change
// it at the next login. Tokens stay; they are revoked by themselves.
func (s *Service) SetPassword(ctx context.Context, p Principal, name, pass string) error {
	if err := p.Require(Admin, "set passwords"); err != nil {
		return err
	}
	return s.setPassword(ctx, p, name, pass, "")
}

// ChangePassword sets the password of whoever asks, who shows the old one. It
// counts as a try to log in, and ends all their sessions, this one too. It is
// what a one-time password is good for.
func (s *Service) ChangePassword(ctx context.Context, p Principal, old, pass string, addr netip.Addr) error {
	p.MustChange = false
	if err := p.Require(Viewer, "change a password"); err != nil {
		return err
	}
	if err := password.Check(p.Name, pass); err != nil {
		return err
	}
	attempt, err := s.admit(ctx, p.Name, addr)
	if err != nil {
		return err
	}
	user, err := s.credential(ctx, p.Name)
	if err != nil {
		attempt.Cancel()
		return err
	}
	right, err := s.hasher.Verify(ctx, user.hash, old)
	if err != nil {
		attempt.Cancel()
		return err
	}
	if !right {
		return errs.New(errs.Forbidden, "the old password is wrong")
	}
	attempt.Succeeded()
	if pass == old {
		return errs.New(errs.Invalid, "the new password is the old one; choose another")
	}
	return s.setPassword(ctx, p, p.Name, pass, user.hash)
}

// setPassword sets a password, which is a one-time one when somebody else
// chose it. When was is the hash of the old one, that must still be in force.
func (s *Service) setPassword(ctx context.Context, p Principal, name, pass, was string) error {
	if err := password.Check(name, pass); err != nil {
		return err
	}
	hash, err := s.hasher.Hash(ctx, pass)
	if err != nil {
		return err
	}
	return s.change(ctx, by(p, "user.password", name), name, func(tx *database.Tx, id string) error {
		n, err := tx.Exec(ctx, `UPDATE access_users SET password = $1, must_change = $2, changed_at = $3
WHERE id = $4 AND ($5 = '' OR password = $6)`, hash, p.Name != name, database.Micros(s.now()), id, was, was)
		if err != nil {
			return err
		}
		if n == 0 {
			return errs.New(errs.Unauthorized, "the password was changed meanwhile; log in again")
		}
		_, err = tx.Exec(ctx, `DELETE FROM access_sessions WHERE user_id = $1`, id)
		return err
	})
}
