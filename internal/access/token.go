package access

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
)

// TokenPrefix begins every API token, so that a scanner for leaked secrets can
// know one.
const TokenPrefix = "rind_"

// TokenInfo describes an API token, without its secret.
type TokenInfo struct {
	ID      string    `json:"id"` // the public part of the token
	Name    string    `json:"name"`
	Owner   string    `json:"owner"`
	Role    Role      `json:"role"`
	Created time.Time `json:"created"`
	Used    time.Time `json:"used,omitzero"` // to a minute
	Expires time.Time `json:"expires"`
}

// CreateToken makes an API token for whoever asks, with a role no higher than
// theirs, and returns it; it is shown once. A ttl of 0 is the configured one.
// A token made with a token does not outlive it.
func (s *Service) CreateToken(ctx context.Context, p Principal, name string, role Role, ttl time.Duration) (string, error) {
	if err := p.Require(Viewer, "make tokens"); err != nil {
		return "", err
	}
	if ttl == 0 {
		ttl = s.cfg.TokenTTL
	}
	switch {
	case role < Viewer || role > Admin:
		return "", errs.New(errs.Invalid, "a token needs a role: viewer, operator or admin")
	case role > p.Role:
		return "", errs.New(errs.Forbidden, "a token cannot have the role %s when its maker is %s; choose %s or ask an administrator", role, p.Role, p.Role)
	case ttl < time.Minute || ttl > MaxTokenTTL:
		return "", errs.New(errs.Invalid, "a token cannot live for %s; choose from 1m to %dh", ttl, int(MaxTokenTTL.Hours()))
	}
	if err := checkTokenName(name); err != nil {
		return "", err
	}
	now := s.now()
	expires := now.Add(ttl)
	if p.Via == ViaToken && p.Expires.Before(expires) {
		expires = p.Expires
	}
	id, secret := newPublicID(), newSecret()
	err := s.db.Tx(ctx, func(tx *database.Tx) error {
		owner, err := userID(ctx, tx, p)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO access_tokens (id, hash, name, owner, user_id, role, created_at, used_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8)`,
			id, hashSecret(secret), name, p.Name, owner, role.String(), database.Micros(now), database.Micros(expires)); err != nil {
			return err
		}
		e := by(p, "token.create", id)
		e.Detail = fmt.Sprintf("%s, role %s, until %s", name, role, expires.UTC().Format(time.RFC3339))
		return s.auditTx(ctx, tx, e)
	})
	if err != nil {
		return "", fmt.Errorf("making a token: %w", err)
	}
	return TokenPrefix + id + "_" + secret, nil
}

func checkTokenName(name string) error {
	if name == "" || len(name) > 64 || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return errs.New(errs.Invalid, "a token needs a name of 1 to 64 printable characters that says what it is for")
	}
	return nil
}

// userID returns the id of the principal's user, or nil for the machine's
// administrator, who is no user.
func userID(ctx context.Context, tx *database.Tx, p Principal) (any, error) {
	if p.Name == machineAdmin {
		return nil, nil
	}
	var id string
	err := tx.QueryRow(ctx, `SELECT id FROM access_users WHERE name = $1`, p.Name).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errs.New(errs.NotFound, "there is no user %q any more", p.Name)
	}
	return id, err
}

func errNoToken() error {
	return errs.New(errs.Unauthorized, "no such token, or it expired or was revoked; make one with: rind token create, or on the page of your account")
}

// Token returns whose token it is. Its role is the lower of the token's and
// the owner's of now.
func (s *Service) Token(ctx context.Context, token string) (Principal, error) {
	rest, ok := strings.CutPrefix(token, TokenPrefix)
	id, secret, two := strings.Cut(rest, "_")
	if !ok || !two || !validPublicID(id) || !validSecret(secret) {
		return Principal{}, errNoToken()
	}
	p := Principal{Via: ViaToken, TokenID: id}
	var hash []byte
	var role string
	var ownerRole sql.NullString
	var used, expires int64
	err := s.db.QueryRow(ctx, `SELECT access_tokens.hash, access_tokens.owner, access_tokens.role, access_users.role, access_tokens.used_at, access_tokens.expires_at
FROM access_tokens LEFT JOIN access_users ON access_users.id = access_tokens.user_id WHERE access_tokens.id = $1`, id).
		Scan(&hash, &p.Name, &role, &ownerRole, &used, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return Principal{}, errNoToken()
	}
	if err != nil {
		return Principal{}, fmt.Errorf("reading a token: %w", err)
	}
	now := s.now()
	p.Expires = database.FromMicros(expires)
	if subtle.ConstantTimeCompare(hash, hashSecret(secret)) != 1 || !now.Before(p.Expires) {
		return Principal{}, errNoToken()
	}
	if p.Role, err = ParseRole(role); err != nil {
		return Principal{}, err
	}
	if ownerRole.Valid {
		of, err := ParseRole(ownerRole.String)
		if err != nil {
			return Principal{}, err
		}
		p.Role = min(p.Role, of)
	}
	if now.Sub(database.FromMicros(used)) >= touchEvery {
		s.touch(ctx, `UPDATE access_tokens SET used_at = $1 WHERE id = $2`, database.Micros(now), id)
	}
	return p, nil
}

// ListTokens returns the tokens of whoever asks, and everybody's to an
// administrator, the latest first.
func (s *Service) ListTokens(ctx context.Context, p Principal) ([]TokenInfo, error) {
	if err := p.Require(Viewer, "list tokens"); err != nil {
		return nil, err
	}
	rows, err := s.db.Query(ctx, `SELECT id, name, owner, role, created_at, used_at, expires_at FROM access_tokens
WHERE owner = $1 OR $2 = 'admin' ORDER BY created_at DESC, id LIMIT 1000`, p.Name, p.Role.String())
	if err != nil {
		return nil, fmt.Errorf("reading the tokens: %w", err)
	}
	defer func() { _ = rows.Close() }()
	all := []TokenInfo{}
	for rows.Next() {
		var t TokenInfo
		var role string
		var created, used, expires int64
		if err := rows.Scan(&t.ID, &t.Name, &t.Owner, &role, &created, &used, &expires); err != nil {
			return nil, fmt.Errorf("reading the tokens: %w", err)
		}
		if t.Role, err = ParseRole(role); err != nil {
			return nil, err
		}
		t.Created, t.Used, t.Expires = database.FromMicros(created), database.FromMicros(used), database.FromMicros(expires)
		all = append(all, t)
	}
	return all, rows.Err()
}

// RevokeToken deletes a token of whoever asks; an administrator may delete
// any.
func (s *Service) RevokeToken(ctx context.Context, p Principal, id string) error {
	if err := p.Require(Viewer, "revoke tokens"); err != nil {
		return err
	}
	err := s.db.Tx(ctx, func(tx *database.Tx) error {
		n, err := tx.Exec(ctx, `DELETE FROM access_tokens WHERE id = $1 AND (owner = $2 OR $3 = 'admin')`, database.Text(id), p.Name, p.Role.String())
		if err != nil {
			return err
		}
		if n == 0 {
			return errs.New(errs.NotFound, "there is no token %q of yours; see: rind token list", shorten(id, 32))
		}
		return s.auditTx(ctx, tx, by(p, "token.revoke", id))
	})
	if err != nil {
		return fmt.Errorf("revoking a token: %w", err)
	}
	return nil
}
