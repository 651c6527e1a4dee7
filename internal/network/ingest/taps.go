package ingest

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/store"
)

// AddTap makes a tap of the default tenant, as AddTapOf does.
func (s *Service) AddTap(ctx context.Context, name string, ttl time.Duration) (string, error) {
	return s.AddTapOf(ctx, "", name, ttl)
}

// AddTapOf makes a tap of a tenant and returns its token, which cannot be shown
// again. A ttl of 0 never expires. A revoked tap gets a new token and comes
// back; without a tenant it is whose it was.
func (s *Service) AddTapOf(ctx context.Context, tenant, name string, ttl time.Duration) (string, error) {
	id := network.TapID(name)
	switch {
	case !id.Valid():
		return "", errs.New(errs.Invalid, "%q is no name for a tap: use 1 to 63 of a-z, 0-9, _ and -", name)
	case tenant != "" && !store.ValidTenant(tenant):
		return "", badTenant(tenant)
	}
	token, hash := newToken(id)
	n, err := s.db.Exec(ctx, `INSERT INTO taps AS t (name, hash, created_us, expires_us, revoked_us, reports, last_report_us, last_end_us, health, tenant)
		VALUES ($1, $2, $3, $4, 0, 0, 0, 0, '', $5)
		ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, expires_us = excluded.expires_us, revoked_us = 0,
			tenant = CASE WHEN $6 = '' THEN t.tenant ELSE excluded.tenant END
		WHERE t.revoked_us <> 0`,
		name, hash, database.Micros(s.now()), s.expiry(ttl), cmp.Or(tenant, store.DefaultTenant), tenant)
	if err != nil {
		return "", fmt.Errorf("adding tap %q: %w", name, err)
	}
	if n == 0 {
		return "", errs.New(errs.Conflict, "tap %q exists: `rind tap rotate %s` gives it a new token, or choose another name", name, name)
	}
	s.tokens.forget(network.TapID(name))
	return token, nil
}

// RotateTap gives a tap a new token; the old one is refused at once.
func (s *Service) RotateTap(ctx context.Context, name string, ttl time.Duration) (string, error) {
	token, hash := newToken(network.TapID(name))
	n, err := s.db.Exec(ctx, `UPDATE taps SET hash = $1, expires_us = $2 WHERE name = $3 AND revoked_us = 0`, hash, s.expiry(ttl), database.Text(name))
	if err != nil {
		return "", fmt.Errorf("rotating the token of tap %q: %w", name, err)
	}
	if n == 0 {
		return "", errs.New(errs.NotFound, "there is no tap %q: `rind tap add %s` makes it", name, name)
	}
	s.tokens.forget(network.TapID(name))
	return token, nil
}

// RevokeTap refuses a tap's token from now on. What it reported stays.
func (s *Service) RevokeTap(ctx context.Context, name string) error {
	n, err := s.db.Exec(ctx, `UPDATE taps SET revoked_us = $1 WHERE name = $2 AND revoked_us = 0`, database.Micros(s.now()), database.Text(name))
	if err != nil {
		return fmt.Errorf("revoking tap %q: %w", name, err)
	}
	if n == 0 {
		return errs.New(errs.NotFound, "there is no tap %q, or it is revoked already", name)
	}
	s.tokens.forget(network.TapID(name))
	return nil
}

func (s *Service) expiry(ttl time.Duration) int64 {
	if ttl <= 0 {
		return 0
	}
	return database.Micros(s.now().Add(ttl))
}

// newToken makes a token and the hash that is stored of it. The secret has 256
// random bits, so one round of SHA-256 is enough.
func newToken(id network.TapID) (token string, hash []byte) {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails
	text := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret[:]))
	token = network.TokenPrefix + string(id) + "_" + text
	sum := sha256.Sum256([]byte(token))
	return token, sum[:]
}

// loadToken reads what authenticates a tap; of an unknown one, nothing.
func (s *Service) loadToken(ctx context.Context, name network.TapID) (tapToken, error) {
	var t tapToken
	var hash []byte
	var expires, revoked int64
	err := s.db.QueryRow(ctx, `SELECT hash, expires_us, revoked_us, tenant FROM taps WHERE name = $1`, string(name)).Scan(&hash, &expires, &revoked, &t.tenant)
	if errors.Is(err, sql.ErrNoRows) {
		return tapToken{}, nil
	}
	if err != nil {
		return tapToken{}, err
	}
	t.expires, t.revoked = database.FromMicros(expires), revoked != 0
	copy(t.hash[:], hash)
	return t, nil
}

// Taps lists all taps by name, with their loss over the last 24 hours.
func (s *Service) Taps(ctx context.Context) ([]TapInfo, error) { return s.TapPage(ctx, "", "", 0) }

// TapPage lists so many taps of a tenant, "" for all, whose names follow after,
// as Taps does; a limit of 0 is none.
func (s *Service) TapPage(ctx context.Context, tenant string, after network.TapID, limit int) ([]TapInfo, error) {
	taps, err := s.readTaps(ctx, tenant, after, limit)
	if err != nil {
		return nil, fmt.Errorf("listing taps: %w", err)
	}
	if len(taps) == 0 {
		return taps, nil
	}
	losses, err := s.store.Losses(ctx, s.now().Add(-24*time.Hour), s.now().Add(s.cfg.MaxAhead))
	if err != nil {
		return nil, err
	}
	of := map[network.TapID]store.Loss{}
	for _, l := range losses {
		of[l.Tap] = l
	}
	gaps, err := s.store.LastGaps(ctx, after, taps[len(taps)-1].Name)
	if err != nil {
		return nil, err
	}
	for i := range taps {
		t := &taps[i]
		t.Loss = of[t.Name]
		t.Loss.Tap = t.Name
		t.LossPercent = t.Loss.Percent()
		if g, ok := gaps[t.Name]; ok {
			t.LastGap = &g.Gap
		}
	}
	return taps, nil
}

func (s *Service) readTaps(ctx context.Context, tenant string, after network.TapID, limit int) ([]TapInfo, error) {
	if limit <= 0 {
		limit = math.MaxInt32
	}
	rows, err := s.db.Query(ctx, `SELECT name, tenant, created_us, expires_us, revoked_us, reports, last_report_us, last_end_us, health, switches, switched_us FROM taps
		WHERE name > $1 AND $2 IN ('', tenant) ORDER BY name LIMIT $3`, string(after), database.Text(tenant), int64(limit))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	taps := []TapInfo{}
	for rows.Next() {
		var t TapInfo
		var created, expires, revoked, last, end, switches, switched int64
		var health string
		if err := rows.Scan(&t.Name, &t.Tenant, &created, &expires, &revoked, &t.Reports, &last, &end, &health, &switches, &switched); err != nil {
			return nil, err
		}
		t.Created = database.FromMicros(created)
		t.Expires, t.Revoked, t.LastReport, t.LastEnd = moment(expires), moment(revoked), moment(last), moment(end)
		if at := moment(switched); switches >= sharedSwitches && s.now().Sub(*at) < sharedShown {
			t.Shared = at
		}
		if health != "" {
			if err := json.Unmarshal([]byte(health), &t.Health); err != nil {
				return nil, fmt.Errorf("reading the health of tap %q: %w", t.Name, err)
			}
		}
		taps = append(taps, t)
	}
	return taps, rows.Err()
}

// moment is a time, or nil when there was none.
func moment(us int64) *time.Time {
	if us == 0 {
		return nil
	}
	t := database.FromMicros(us)
	return &t
}
