package member

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
)

// Migrations are the tables of this room.
func Migrations() []database.Migration {
	return []database.Migration{{Name: "member/0001_servers", SQL: `
CREATE TABLE server_tokens (
	id TEXT PRIMARY KEY,
	hash TEXT NOT NULL,
	roles TEXT NOT NULL,
	created_by TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	used_at BIGINT NOT NULL,
	used_by TEXT NOT NULL
);
CREATE TABLE servers_joined (
	id TEXT PRIMARY KEY,
	host TEXT NOT NULL,
	route TEXT NOT NULL,
	roles TEXT NOT NULL,
	streams BIGINT NOT NULL,
	joined_at BIGINT NOT NULL
);
`}}
}

// Joined is a server that joined earlier.
type Joined struct {
	Host    string
	Route   string // host:port, "" when it has no bus
	Roles   []string
	Streams bool
}

// Deps are what a desk needs.
type Deps struct {
	DB *database.DB
	// Ready says why no server with these roles can join now, if so.
	Ready func(roles []string) error
	// Gift makes what a server is given that reached this one under a host
	// name, knowing those that joined before it.
	Gift func(ctx context.Context, roles []string, host string, others []Joined) (Gift, error)
	Now  func() time.Time // optional
}

// Desk takes in servers.
type Desk struct {
	deps  Deps
	tries *rate.Limiter
}

// NewDesk makes a desk.
func NewDesk(deps Deps) *Desk {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	return &Desk{deps: deps, tries: rate.NewLimiter(5, 20)}
}

const tokenPrefix = "rindserver_"

// CreateToken makes a token.
func (d *Desk) CreateToken(ctx context.Context, req TokenRequest) (Token, error) {
	if req.TTL == 0 {
		req.TTL = DefaultTTL
	}
	if req.TTL < time.Second || req.TTL > MaxTTL {
		return Token{}, errs.New(errs.Invalid, "a token for a server may live from 1s to %s", MaxTTL)
	}
	if len(req.Roles) == 0 {
		req.Roles = []string{"bus", "master", "node"}
	}
	for _, r := range req.Roles {
		if !hasRole([]string{"bus", "master", "node"}, r) {
			return Token{}, errs.New(errs.Invalid, "%.100q is no role of a server: choose among bus, master and node", r)
		}
	}
	if hasRole(req.Roles, "master") && !hasRole(req.Roles, "bus") {
		return Token{}, errs.New(errs.Invalid, "a master runs beside a bus in one process: name the role bus too")
	}
	if err := d.deps.Ready(req.Roles); err != nil {
		return Token{}, err
	}
	var public [8]byte
	var secret [32]byte
	rand.Read(public[:])
	rand.Read(secret[:])
	now := d.deps.Now()
	t := Token{ID: hex.EncodeToString(public[:]), Roles: req.Roles, Expires: now.Add(req.TTL).UTC().Truncate(time.Microsecond)}
	t.Secret = tokenPrefix + t.ID + "_" + hex.EncodeToString(secret[:])
	if _, err := d.deps.DB.Exec(ctx, `DELETE FROM server_tokens WHERE expires_at < $1`, database.Micros(now.Add(-7*24*time.Hour))); err != nil {
		return Token{}, fmt.Errorf("forgetting old server tokens: %w", err)
	}
	_, err := d.deps.DB.Exec(ctx, `INSERT INTO server_tokens
		(id, hash, roles, created_by, created_at, expires_at, used_at, used_by)
		VALUES ($1, $2, $3, $4, $5, $6, 0, '')`,
		t.ID, hash(t.Secret), strings.Join(t.Roles, ","), req.By, database.Micros(now), database.Micros(t.Expires))
	if err != nil {
		return Token{}, fmt.Errorf("keeping the server token: %w", err)
	}
	return t, nil
}

func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// Join uses the token up and gives its bearer, at an address, what it needs.
// Host is the name under which the request reached this server.
func (d *Desk) Join(ctx context.Context, req Request, addr netip.Addr, host string) (Gift, error) {
	if !d.tries.Allow() {
		return Gift{}, errs.New(errs.RateLimited, "too many servers try to join at once; try again in a few seconds")
	}
	if err := req.Validate(); err != nil {
		return Gift{}, err
	}
	id, roles, err := d.check(ctx, req.Token)
	if err != nil {
		return Gift{}, err
	}
	if err := d.deps.Ready(roles); err != nil {
		return Gift{}, err
	}
	others, err := d.others(ctx)
	if err != nil {
		return Gift{}, err
	}
	gift, err := d.deps.Gift(ctx, roles, host, others)
	if err != nil {
		return Gift{}, err
	}
	gift.Roles = roles
	if err := d.use(ctx, id, req.Host+" "+addr.String()); err != nil {
		return Gift{}, err
	}
	route := ""
	if gift.Has("bus") && req.ClusterPort > 0 {
		route = netip.AddrPortFrom(addr.Unmap(), uint16(req.ClusterPort)).String()
	}
	streams := 0
	if gift.Streams {
		streams = 1
	}
	_, err = d.deps.DB.Exec(ctx, `INSERT INTO servers_joined (id, host, route, roles, streams, joined_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		id, req.Host, route, strings.Join(roles, ","), streams, database.Micros(d.deps.Now()))
	if err != nil {
		return Gift{}, fmt.Errorf("noting the server: %w", err)
	}
	return gift, nil
}

// check finds the token and says why it cannot be used, if so.
func (d *Desk) check(ctx context.Context, secret string) (id string, roles []string, err error) {
	wrong := errs.New(errs.Unauthorized, "this token is none of this fleet's; copy the whole command that rind server token printed, or make another")
	rest, ok := strings.CutPrefix(secret, tokenPrefix)
	public, _, both := strings.Cut(rest, "_")
	if !ok || !both || len(public) != 16 {
		return "", nil, wrong
	}
	var want, list, usedBy string
	var expires, used int64
	err = d.deps.DB.QueryRow(ctx, `SELECT hash, roles, expires_at, used_at, used_by FROM server_tokens WHERE id = $1`, public).
		Scan(&want, &list, &expires, &used, &usedBy)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil, wrong
	}
	if err != nil {
		return "", nil, fmt.Errorf("looking for the server token: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(want), []byte(hash(secret))) != 1 {
		return "", nil, wrong
	}
	if used != 0 {
		return "", nil, errs.New(errs.Gone, "this token was used at %s by %s; a token lets one server in: make another with rind server token", stamp(database.FromMicros(used)), usedBy)
	}
	if now := d.deps.Now(); !now.Before(database.FromMicros(expires)) {
		return "", nil, errs.New(errs.Gone, "this token expired at %s (the server's clock says %s); make another with rind server token", stamp(database.FromMicros(expires)), stamp(now))
	}
	return public, strings.Split(list, ","), nil
}

// use uses the token up, in one statement. Of two servers that bring it at the
// same time one wins.
func (d *Desk) use(ctx context.Context, id, by string) error {
	now := database.Micros(d.deps.Now())
	n, err := d.deps.DB.Exec(ctx, `UPDATE server_tokens SET used_at = $1, used_by = $2 WHERE id = $3 AND used_at = 0 AND expires_at > $4`, now, by, id, now)
	if err != nil {
		return fmt.Errorf("using up the server token: %w", err)
	}
	if n != 1 {
		return errs.New(errs.Gone, "this token was used by another server, or expired, in the meantime; make another with rind server token")
	}
	return nil
}

// others are the servers that joined before, the newest first.
func (d *Desk) others(ctx context.Context) ([]Joined, error) {
	rows, err := d.deps.DB.Query(ctx, `SELECT host, route, roles, streams FROM servers_joined ORDER BY joined_at DESC LIMIT 64`)
	if err != nil {
		return nil, fmt.Errorf("reading which servers joined: %w", err)
	}
	defer rows.Close()
	var out []Joined
	for rows.Next() {
		var j Joined
		var roles string
		var streams int64
		if err := rows.Scan(&j.Host, &j.Route, &roles, &streams); err != nil {
			return nil, fmt.Errorf("reading which servers joined: %w", err)
		}
		j.Roles, j.Streams = strings.Split(roles, ","), streams != 0
		out = append(out, j)
	}
	return out, rows.Err()
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
