package access

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/rind-project/rind/internal/access/password"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
)

// User is a person, or a program with a password.
type User struct {
	Name    string    `json:"name"`
	Role    Role      `json:"role"`
	UID     *int      `json:"uid,omitempty"` // of the server's machine, for the unix socket
	Created time.Time `json:"created"`
	Changed time.Time `json:"changed"`
	// MustChange says that somebody else set the password, and that the user
	// has not chosen their own yet.
	MustChange bool `json:"must_change,omitempty"`
}

// Users returns all users by name.
func (s *Service) Users(ctx context.Context) ([]User, error) {
	rows, err := s.db.Query(ctx, `SELECT name, role, uid, created_at, changed_at, must_change FROM access_users ORDER BY name LIMIT 10000`)
	if err != nil {
		return nil, fmt.Errorf("reading the users: %w", err)
	}
	defer func() { _ = rows.Close() }()
	all := []User{}
	for rows.Next() {
		var u User
		var role string
		var uid sql.NullInt64
		var created, changed int64
		if err := rows.Scan(&u.Name, &role, &uid, &created, &changed, &u.MustChange); err != nil {
			return nil, fmt.Errorf("reading the users: %w", err)
		}
		if u.Role, err = ParseRole(role); err != nil {
			return nil, err
		}
		if uid.Valid {
			n := int(uid.Int64)
			u.UID = &n
		}
		u.Created, u.Changed = database.FromMicros(created), database.FromMicros(changed)
		all = append(all, u)
	}
	return all, rows.Err()
}

// CreateUser makes a user, who has to change the password at the first login.
func (s *Service) CreateUser(ctx context.Context, p Principal, name, pass string, role Role) error {
	if err := p.Require(Admin, "make users"); err != nil {
		return err
	}
	if err := checkName(name); err != nil {
		return err
	}
	if err := password.Check(name, pass); err != nil {
		return err
	}
	if role < Viewer || role > Admin {
		return errs.New(errs.Invalid, "a user needs a role: viewer, operator or admin")
	}
	hash, err := s.hasher.Hash(ctx, pass)
	if err != nil {
		return err
	}
	err = s.db.Tx(ctx, func(tx *database.Tx) error {
		if err := s.insertUser(ctx, tx, name, hash, role); err != nil {
			return err
		}
		e := by(p, "user.create", name)
		e.Detail = "role " + role.String()
		return s.auditTx(ctx, tx, e)
	})
	if database.IsUnique(err) {
		return errs.New(errs.Conflict, "a user %q exists already; choose another name", name)
	}
	if err != nil {
		return fmt.Errorf("making the user %s: %w", name, err)
	}
	return nil
}

// insertUser makes a user with a one-time password.
func (s *Service) insertUser(ctx context.Context, tx *database.Tx, name, hash string, role Role) error {
	now := database.Micros(s.now())
	_, err := tx.Exec(ctx, `INSERT INTO access_users (id, name, role, password, must_change, created_at, changed_at) VALUES ($1, $2, $3, $4, TRUE, $5, $6)`,
		database.NewID(), name, role.String(), hash, now, now)
	return err
}

// lockUsers makes the transaction the only one that changes who is an
// administrator: a row that all of them update, on either engine.
func lockUsers(ctx context.Context, tx *database.Tx) error {
	_, err := tx.Exec(ctx, `UPDATE access_lock SET changes = changes + 1 WHERE id = 1`)
	return err
}

// change runs a change of one user under the lock, and sees to it that the
// user exists and that an administrator is left.
func (s *Service) change(ctx context.Context, e Entry, name string, fn func(tx *database.Tx, id string) error) error {
	err := s.db.Tx(ctx, func(tx *database.Tx) error {
		if err := lockUsers(ctx, tx); err != nil {
			return err
		}
		var id string
		err := tx.QueryRow(ctx, `SELECT id FROM access_users WHERE name = $1`, database.Text(name)).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return errs.New(errs.NotFound, "there is no user %q; see: rind user list", shorten(name, 64))
		}
		if err != nil {
			return err
		}
		if err := fn(tx, id); err != nil {
			return err
		}
		var admins int
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM access_users WHERE role = 'admin'`).Scan(&admins); err != nil {
			return err
		}
		if admins == 0 {
			return errs.New(errs.Conflict, "%s is the last administrator; make another one first", name)
		}
		return s.auditTx(ctx, tx, e)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", e.Action, err)
	}
	return nil
}

// SetRole changes what a user may do, at once, in running sessions too.
func (s *Service) SetRole(ctx context.Context, p Principal, name string, role Role) error {
	if err := p.Require(Admin, "change roles"); err != nil {
		return err
	}
	if role < Viewer || role > Admin {
		return errs.New(errs.Invalid, "a user needs a role: viewer, operator or admin")
	}
	e := by(p, "user.role", name)
	e.Detail = "role " + role.String()
	return s.change(ctx, e, name, func(tx *database.Tx, id string) error {
		_, err := tx.Exec(ctx, `UPDATE access_users SET role = $1, changed_at = $2 WHERE id = $3`, role.String(), database.Micros(s.now()), id)
		return err
	})
}

// DeleteUser deletes a user with all sessions and tokens.
func (s *Service) DeleteUser(ctx context.Context, p Principal, name string) error {
	if err := p.Require(Admin, "delete users"); err != nil {
		return err
	}
	return s.change(ctx, by(p, "user.delete", name), name, func(tx *database.Tx, id string) error {
		_, err := tx.Exec(ctx, `DELETE FROM access_users WHERE id = $1`, id) // the rest goes by cascade
		return err
	})
}
