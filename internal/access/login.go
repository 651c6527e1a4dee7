package access

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/access/limit"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
)

// Bootstrap makes the user "admin" with a random one-time password when there
// is no user yet, and returns the password, which is shown to the operator
// once. It returns "" when there are users. Of several processes that start at once,
// one makes the user.
func (s *Service) Bootstrap(ctx context.Context) (string, error) {
	var users int
	if err := s.db.QueryRow(ctx, `SELECT COUNT(*) FROM access_users`).Scan(&users); err != nil {
		return "", fmt.Errorf("counting the users: %w", err)
	}
	if users > 0 {
		return "", nil
	}
	secret := newPassword()
	hash, err := s.hasher.Hash(ctx, secret)
	if err != nil {
		return "", err
	}
	made := false
	err = s.db.Tx(ctx, func(tx *database.Tx) error {
		made = false
		if err := lockUsers(ctx, tx); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM access_users`).Scan(&users); err != nil || users > 0 {
			return err
		}
		made = true
		if err := s.insertUser(ctx, tx, "admin", hash, Admin); err != nil {
			return err
		}
		return s.auditTx(ctx, tx, Entry{By: "rind", Action: "user.create", Object: "admin", Detail: "first start", OK: true})
	})
	if err != nil || !made {
		return "", err
	}
	return secret, nil
}

// credential is what a login needs of a user.
type credential struct {
	id, hash   string
	role       Role
	mustChange bool
}

// Login checks a name and a password and begins a session, whose secret goes
// into the cookie. It counts the try before it does any work; a name that does
// not exist costs as much as one that does.
func (s *Service) Login(ctx context.Context, name, password string, addr netip.Addr) (string, Principal, error) {
	name = strings.ToLower(name)
	if checkName(name) != nil {
		name = "" // is no user, counts as one name, costs the same
	}
	attempt, err := s.admit(ctx, name, addr)
	if err != nil {
		s.metrics.logins.WithLabelValues("limited").Inc()
		return "", Principal{}, err
	}
	user, err := s.credential(ctx, name)
	if err != nil {
		attempt.Cancel()
		s.metrics.logins.WithLabelValues("error").Inc()
		return "", Principal{}, err
	}
	right, err := s.hasher.Verify(ctx, user.hash, password)
	if err != nil {
		attempt.Cancel()
		s.metrics.logins.WithLabelValues("busy").Inc()
		return "", Principal{}, err
	}
	if !right {
		s.metrics.logins.WithLabelValues("wrong").Inc()
		return "", Principal{}, s.wrong(ctx, name, user.id != "", addr)
	}
	attempt.Succeeded()
	secret, p, err := s.begin(ctx, name, user, addr)
	if err != nil {
		s.metrics.logins.WithLabelValues("error").Inc()
		return "", Principal{}, err
	}
	s.metrics.logins.WithLabelValues("ok").Inc()
	return secret, p, nil
}

// admit counts the try, or says how long to wait.
func (s *Service) admit(ctx context.Context, name string, addr netip.Addr) (*limit.Attempt, error) {
	attempt, refusal := s.limiter.Try(name, addr, false)
	if refusal != nil && refusal.Account && s.familiar(ctx, name, addr) {
		attempt, refusal = s.limiter.Try(name, addr, true)
	}
	if refusal == nil {
		return attempt, nil
	}
	wait := max(time.Second, refusal.Wait.Round(time.Second))
	return nil, errs.New(errs.RateLimited,
		"too many tries to log in; try again in %w (on the server itself root needs no password: use the rind command there)", &Wait{wait})
}

// Wait is in the chain of an error of kind RateLimited and says how long.
type Wait struct{ For time.Duration }

// Error is the duration.
func (w *Wait) Error() string { return w.For.String() }

// familiar reports whether the user has logged in from this network before,
// in the last half year.
func (s *Service) familiar(ctx context.Context, name string, addr netip.Addr) bool {
	var n int
	err := s.db.QueryRow(ctx, `SELECT COUNT(*) FROM access_known JOIN access_users ON access_users.id = access_known.user_id
WHERE access_users.name = $1 AND access_known.network = $2`, name, networkKey(addr)).Scan(&n)
	if err != nil {
		s.log.Warn("looking up a known address failed", "error", err)
	}
	return n > 0
}

// networkKey is the address as access_known has it; none is 16 zeros.
func networkKey(addr netip.Addr) []byte {
	if b := database.Addr16(limit.Network(addr).Addr()); b != nil {
		return b
	}
	return make([]byte, 16)
}

// credential returns a user's, or the empty one.
func (s *Service) credential(ctx context.Context, name string) (credential, error) {
	var c credential
	var role string
	err := s.db.QueryRow(ctx, `SELECT id, password, role, must_change FROM access_users WHERE name = $1`, name).Scan(&c.id, &c.hash, &role, &c.mustChange)
	if errors.Is(err, sql.ErrNoRows) {
		return credential{}, nil
	}
	if err != nil {
		return credential{}, fmt.Errorf("reading a user: %w", err)
	}
	c.role, err = ParseRole(role)
	return c, err
}

// wrong records a wrong password. A name that no user has is left out, since
// it may be a password typed into the wrong field. Hanging up does not keep
// the try out of the trail.
func (s *Service) wrong(ctx context.Context, name string, exists bool, addr netip.Addr) error {
	e := Entry{Action: "login", Object: name, Detail: "wrong password", Addr: addr}
	if !exists {
		e.Object, e.Detail = "", "no such user"
	}
	if err := s.Audit(context.WithoutCancel(ctx), e); err != nil {
		s.log.Error("a wrong login is missing in the audit trail", "error", err)
	}
	return errs.New(errs.Unauthorized, "wrong name or password; on the server itself, root sets a new one with: rind user password NAME")
}

// maxSessions bounds the sessions of one user; the oldest make room.
const maxSessions = 50

// begin stores a session, unless the user changed since the password was
// checked.
func (s *Service) begin(ctx context.Context, name string, user credential, addr netip.Addr) (string, Principal, error) {
	secret, now := newSecret(), s.now()
	p := Principal{Name: name, Role: user.role, Via: ViaSession, Expires: now.Add(s.cfg.SessionTTL).UTC(), MustChange: user.mustChange}
	us := database.Micros(now)
	err := s.db.Tx(ctx, func(tx *database.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE access_users SET changed_at = changed_at WHERE id = $1 AND password = $2`, user.id, user.hash)
		if err != nil {
			return err
		}
		if n == 0 {
			return errs.New(errs.Unauthorized, "the user was changed meanwhile; log in again")
		}
		for _, st := range []struct {
			q    string
			args []any
		}{
			{`INSERT INTO access_sessions (hash, user_id, addr, created_at, used_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)`,
				[]any{hashSecret(secret), user.id, database.Addr16(addr), us, us, database.Micros(p.Expires)}},
			{`DELETE FROM access_sessions WHERE user_id = $1 AND hash NOT IN
(SELECT hash FROM access_sessions WHERE user_id = $2 ORDER BY created_at DESC, hash LIMIT $3)`,
				[]any{user.id, user.id, maxSessions}},
			{`INSERT INTO access_known (user_id, network, seen_at) VALUES ($1, $2, $3)
ON CONFLICT (user_id, network) DO UPDATE SET seen_at = excluded.seen_at`,
				[]any{user.id, networkKey(addr), us}},
		} {
			if _, err := tx.Exec(ctx, st.q, st.args...); err != nil {
				return err
			}
		}
		e := by(p, "login", name)
		e.Addr = addr
		return s.auditTx(ctx, tx, e)
	})
	if err != nil {
		return "", Principal{}, fmt.Errorf("beginning a session: %w", err)
	}
	return secret, p, nil
}
