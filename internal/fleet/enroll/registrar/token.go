package registrar

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
)

// Lives of a token.
const (
	DefaultTokenTTL = time.Hour
	MaxTokenTTL     = 7 * 24 * time.Hour
	keepTokens      = 7 * 24 * time.Hour // after they expired, to explain what became of them
)

// Migrations are the tables of the registrar.
func Migrations() []database.Migration {
	return []database.Migration{{Name: "enroll/0001_tokens", SQL: `
CREATE TABLE enroll_tokens (
	id TEXT PRIMARY KEY,
	hash TEXT NOT NULL,
	auto_approve BIGINT NOT NULL,
	created_by TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	used_at BIGINT NOT NULL,
	used_peel TEXT NOT NULL,
	used_key TEXT NOT NULL
);
CREATE INDEX enroll_tokens_expires ON enroll_tokens (expires_at);
`}}
}

// TokenRequest asks for a token.
type TokenRequest struct {
	TTL         time.Duration // 0: DefaultTokenTTL
	AutoApprove bool          // the host that brings it needs no approval, if its id is free
	By          string        // who asks
}

// Token lets one host ask for an enrollment. The secret is shown once.
type Token struct {
	ID          string    `json:"id"`
	Secret      string    `json:"token"`
	AutoApprove bool      `json:"auto_approve"`
	Expires     time.Time `json:"expires"`
}

// tokenRow is a token as the table keeps it.
type tokenRow struct {
	id, hash          string
	auto              bool
	expires, usedAt   time.Time
	usedPeel, usedKey string
}

const tokenPrefix = "rindenroll_"

// CreateToken makes a token.
func (r *Registrar) CreateToken(ctx context.Context, req TokenRequest) (Token, error) {
	if req.TTL == 0 {
		req.TTL = DefaultTokenTTL
	}
	if req.TTL < time.Second || req.TTL > MaxTokenTTL {
		return Token{}, errs.New(errs.Invalid, "a token may live from 1s to %s", MaxTokenTTL)
	}
	var public [8]byte
	var secret [32]byte
	rand.Read(public[:])
	rand.Read(secret[:])
	now := r.deps.Now()
	t := Token{ID: hex.EncodeToString(public[:]), AutoApprove: req.AutoApprove, Expires: now.Add(req.TTL).UTC().Truncate(time.Microsecond)}
	t.Secret = tokenPrefix + t.ID + "_" + hex.EncodeToString(secret[:])
	auto := 0
	if req.AutoApprove {
		auto = 1
	}
	_, err := r.deps.DB.Exec(ctx, `INSERT INTO enroll_tokens
		(id, hash, auto_approve, created_by, created_at, expires_at, used_at, used_peel, used_key)
		VALUES ($1, $2, $3, $4, $5, $6, 0, '', '')`,
		t.ID, hash(t.Secret), auto, req.By, database.Micros(now), database.Micros(t.Expires))
	if err != nil {
		return Token{}, fmt.Errorf("keeping the enrollment token: %w", err)
	}
	return t, nil
}

func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// checkToken finds the token and says why it cannot be used, if so. A token
// that this very key has used for this id already is good: an answer may have
// been lost on its way.
func (r *Registrar) checkToken(ctx context.Context, secret string, id fleet.PeelID, key string) (tokenRow, error) {
	row, err := r.findToken(ctx, secret)
	if err != nil {
		return row, err
	}
	now := r.deps.Now()
	switch {
	case !row.usedAt.IsZero() && row.usedPeel == string(id) && row.usedKey == key:
		return row, nil
	case !row.usedAt.IsZero():
		return row, errs.New(errs.Gone, "this token was used at %s by %s; a token enrolls one host: make another with rind enroll token", stamp(row.usedAt), row.usedPeel)
	case !now.Before(row.expires):
		return row, errs.New(errs.Gone, "this token expired at %s (the server's clock says %s); make another with rind enroll token", stamp(row.expires), stamp(now))
	}
	return row, nil
}

func (r *Registrar) findToken(ctx context.Context, secret string) (tokenRow, error) {
	wrong := errs.New(errs.Unauthorized, "this token is none of this server's; copy the whole command that rind enroll token printed, or make another")
	rest, ok := strings.CutPrefix(secret, tokenPrefix)
	public, _, both := strings.Cut(rest, "_")
	if !ok || !both || len(public) != 16 {
		return tokenRow{}, wrong
	}
	var row tokenRow
	var auto, expires, used int64
	err := r.deps.DB.QueryRow(ctx, `SELECT id, hash, auto_approve, expires_at, used_at, used_peel, used_key
		FROM enroll_tokens WHERE id = $1`, public).
		Scan(&row.id, &row.hash, &auto, &expires, &used, &row.usedPeel, &row.usedKey)
	if errors.Is(err, sql.ErrNoRows) {
		return tokenRow{}, wrong
	}
	if err != nil {
		return tokenRow{}, fmt.Errorf("looking for the enrollment token: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(row.hash), []byte(hash(secret))) != 1 {
		return tokenRow{}, wrong
	}
	row.auto, row.expires = auto != 0, database.FromMicros(expires)
	if used != 0 {
		row.usedAt = database.FromMicros(used)
	}
	return row, nil
}

// useToken uses the token up, for one key, in one statement. Of two hosts that
// bring it at the same time one wins.
func (r *Registrar) useToken(ctx context.Context, tokenID string, id fleet.PeelID, key string) error {
	now := database.Micros(r.deps.Now())
	n, err := r.deps.DB.Exec(ctx, `UPDATE enroll_tokens SET used_at = $1, used_peel = $2, used_key = $3
		WHERE id = $4 AND ((used_at = 0 AND expires_at > $5) OR (used_peel = $6 AND used_key = $7))`,
		now, string(id), key, tokenID, now, string(id), key)
	if err != nil {
		return fmt.Errorf("using up the enrollment token: %w", err)
	}
	if n != 1 {
		return errs.New(errs.Gone, "this token was used by another host, or expired, in the meantime; make another with rind enroll token")
	}
	return nil
}

// janitor forgets tokens that nobody asks about any more.
func (r *Registrar) janitor(ctx context.Context) {
	t := time.NewTicker(time.Hour)
	defer t.Stop()
	for {
		_, err := r.deps.DB.Exec(ctx, `DELETE FROM enroll_tokens WHERE expires_at < $1`, database.Micros(r.deps.Now().Add(-keepTokens)))
		if err != nil && ctx.Err() == nil {
			r.deps.Log.Warn("forgetting old enrollment tokens", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
