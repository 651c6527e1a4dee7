package access

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
)

// touchEvery is how exactly the last use of a session or token is known. It
// keeps reading from becoming writing.
const touchEvery = time.Minute

// CookieName is the cookie of a session. The prefix makes browsers refuse it
// unless it is Secure, of the whole site, and set by this very host
// (RFC 6265bis, 4.1.3.2).
const CookieName = "__Host-rind_session"

// Cookie is the cookie that carries a session's secret. SameSite is Lax, so
// that a link in a message opens the page it names; CSRF is the Guard's.
func (s *Service) Cookie(secret string) *http.Cookie {
	return &http.Cookie{
		Name: CookieName, Value: secret, Path: "/", Secure: true, HttpOnly: true,
		SameSite: http.SameSiteLaxMode, MaxAge: int(s.cfg.SessionTTL / time.Second),
	}
}

// GoneCookie is the cookie that makes a browser forget its session.
func (s *Service) GoneCookie() *http.Cookie {
	c := s.Cookie("")
	c.MaxAge = -1
	return c
}

// CookieSecret is the session's secret in a request, or "".
func CookieSecret(r *http.Request) string {
	c, err := r.Cookie(CookieName)
	if err != nil {
		return ""
	}
	return c.Value
}

func errNoSession() error {
	return errs.New(errs.Unauthorized, "no such session, or it ended; log in again")
}

// Session returns whose session it is. The user's role is that of now.
func (s *Service) Session(ctx context.Context, secret string) (Principal, error) {
	if !validSecret(secret) {
		return Principal{}, errNoSession()
	}
	hash := hashSecret(secret)
	p := Principal{Via: ViaSession}
	var role string
	var used, expires int64
	err := s.db.QueryRow(ctx, `SELECT access_users.name, access_users.role, access_users.must_change, access_sessions.used_at, access_sessions.expires_at
FROM access_sessions JOIN access_users ON access_users.id = access_sessions.user_id WHERE access_sessions.hash = $1`, hash).
		Scan(&p.Name, &role, &p.MustChange, &used, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return Principal{}, errNoSession()
	}
	if err != nil {
		return Principal{}, fmt.Errorf("reading a session: %w", err)
	}
	now := s.now()
	p.Expires = database.FromMicros(expires)
	idle := now.Sub(database.FromMicros(used))
	if !now.Before(p.Expires) || idle >= s.cfg.SessionIdle {
		return Principal{}, errNoSession()
	}
	if p.Role, err = ParseRole(role); err != nil {
		return Principal{}, err
	}
	if idle >= touchEvery {
		s.touch(ctx, `UPDATE access_sessions SET used_at = $1 WHERE hash = $2`, database.Micros(now), hash)
	}
	return p, nil
}

// touch remembers a use. When it fails, the request goes on.
func (s *Service) touch(ctx context.Context, q string, args ...any) {
	if _, err := s.db.Exec(ctx, q, args...); err != nil && ctx.Err() == nil {
		s.log.Warn("remembering when a session or token was used failed", "error", err)
	}
}

// Logout ends a session. One that does not exist has ended.
func (s *Service) Logout(ctx context.Context, secret string) error {
	p, err := s.Session(ctx, secret)
	if errs.Is(err, errs.Unauthorized) {
		return nil
	}
	if err != nil {
		return err
	}
	err = s.db.Tx(ctx, func(tx *database.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM access_sessions WHERE hash = $1`, hashSecret(secret)); err != nil {
			return err
		}
		return s.auditTx(ctx, tx, by(p, "logout", p.Name))
	})
	if err != nil {
		return fmt.Errorf("ending a session: %w", err)
	}
	return nil
}
