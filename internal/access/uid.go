package access

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
)

// machineAdmin is the name of root and of the server's own user on the unix
// socket. No user can have it, for the colon.
const machineAdmin = "uid:0"

// maxUID is the largest uid that is somebody's; the one above means none.
// overflowUID is what the kernel shows of a user that has no uid in this user
// namespace (user_namespaces(7)), and so is of many.
const (
	maxUID      = 1<<32 - 2
	overflowUID = 65534
)

// BindUID lets a uid of the server's machine use the unix socket as the user.
// It may not be root's, who is administrator anyway. A uid of -1 unbinds.
func (s *Service) BindUID(ctx context.Context, p Principal, name string, uid int) error {
	if err := p.Require(Admin, "bind uids"); err != nil {
		return err
	}
	if uid == 0 || uid == overflowUID || uid < -1 || uid > maxUID {
		return errs.New(errs.Invalid, "the uid %d cannot be bound; use one from 1 to %d that is one user's alone, or -1 to unbind", uid, maxUID)
	}
	var value any
	e := by(p, "user.uid", name)
	e.Detail = "unbound"
	if uid > 0 {
		value, e.Detail = int64(uid), fmt.Sprintf("uid %d", uid)
	}
	err := s.change(ctx, e, name, func(tx *database.Tx, id string) error {
		_, err := tx.Exec(ctx, `UPDATE access_users SET uid = $1, changed_at = $2 WHERE id = $3`, value, database.Micros(s.now()), id)
		return err
	})
	if database.IsUnique(err) {
		return errs.New(errs.Conflict, "the uid %d is bound to another user already; see: rind user list", uid)
	}
	return err
}

// PrincipalForUID returns who a peer of the unix socket is: root and the
// server's own user are administrators, others the user they are bound to.
func (s *Service) PrincipalForUID(ctx context.Context, uid, serverUID int) (Principal, error) {
	if uid == 0 || uid == serverUID {
		return Principal{Name: machineAdmin, Role: Admin, Via: ViaSocket}, nil
	}
	p := Principal{Via: ViaSocket}
	var role string
	err := s.db.QueryRow(ctx, `SELECT name, role FROM access_users WHERE uid = $1`, int64(uid)).Scan(&p.Name, &role)
	if errors.Is(err, sql.ErrNoRows) {
		return Principal{}, errs.New(errs.Forbidden,
			"the uid %d is bound to no user; root on the server binds it with: rind user bind NAME --uid %d", uid, uid)
	}
	if err != nil {
		return Principal{}, fmt.Errorf("looking up the uid %d: %w", uid, err)
	}
	p.Role, err = ParseRole(role)
	return p, err
}
