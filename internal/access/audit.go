package access

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/rind-project/rind/internal/base/database"
)

// Entry is one line of the audit trail: who did what to what, from where, and
// whether it went well.
type Entry struct {
	ID     string     `json:"id"`
	At     time.Time  `json:"at"`
	By     string     `json:"by"`  // a user's name, "uid:0", or "" for nobody known
	Via    string     `json:"via"` // "session", "token", "socket" or ""
	Action string     `json:"action"`
	Object string     `json:"object"`
	Detail string     `json:"detail"`
	Addr   netip.Addr `json:"addr,omitzero"`
	OK     bool       `json:"ok"`
}

// Limits of the texts of an entry in bytes, and of a list.
const (
	maxShort  = 256
	maxDetail = 2048
	maxList   = 1000
)

// Audit appends an entry. ID and At are set here when they are empty, and Addr
// to the address that the Guard found. Texts that are too long are cut.
func (s *Service) Audit(ctx context.Context, e Entry) error {
	_, err := s.db.Exec(ctx, insertAudit, s.auditArgs(ctx, e)...)
	if err != nil {
		return fmt.Errorf("writing the audit trail: %w", err)
	}
	return nil
}

const insertAudit = `INSERT INTO access_audit (id, at, by_name, via, action, object, detail, addr, ok)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`

// auditTx appends an entry in the transaction of what it tells about.
func (s *Service) auditTx(ctx context.Context, tx *database.Tx, e Entry) error {
	if _, err := tx.Exec(ctx, insertAudit, s.auditArgs(ctx, e)...); err != nil {
		return fmt.Errorf("writing the audit trail: %w", err)
	}
	return nil
}

func (s *Service) auditArgs(ctx context.Context, e Entry) []any {
	if !e.Addr.IsValid() {
		e.Addr, _ = ctx.Value(addrKey{}).(netip.Addr)
	}
	if e.ID == "" {
		e.ID = database.NewID()
	}
	if e.At.IsZero() {
		e.At = s.now()
	}
	cut := func(text string, n int) string { return database.Text(shorten(text, n)) }
	return []any{e.ID, database.Micros(e.At), cut(e.By, maxShort), cut(e.Via, maxShort), cut(e.Action, maxShort),
		cut(e.Object, maxShort), cut(e.Detail, maxDetail), database.Addr16(e.Addr), e.OK}
}

// AuditList returns entries, the latest first: up to limit (0 is 100, at most
// 1000) of those before the entry with the id, or the latest.
func (s *Service) AuditList(ctx context.Context, limit int, before string) ([]Entry, error) {
	if limit <= 0 {
		limit = 100
	}
	if before == "" {
		before = "g" // after every id, in any collation
	}
	rows, err := s.db.Query(ctx, `SELECT id, at, by_name, via, action, object, detail, addr, ok FROM access_audit
WHERE id < $1 ORDER BY id DESC LIMIT $2`, database.Text(before), min(limit, maxList))
	if err != nil {
		return nil, fmt.Errorf("reading the audit trail: %w", err)
	}
	defer func() { _ = rows.Close() }()
	all := []Entry{}
	for rows.Next() {
		var e Entry
		var at int64
		var addr []byte
		if err := rows.Scan(&e.ID, &at, &e.By, &e.Via, &e.Action, &e.Object, &e.Detail, &addr, &e.OK); err != nil {
			return nil, fmt.Errorf("reading the audit trail: %w", err)
		}
		e.At, e.Addr = database.FromMicros(at), database.AddrFrom16(addr)
		all = append(all, e)
	}
	return all, rows.Err()
}

// by begins an entry of a principal.
func by(p Principal, action, object string) Entry {
	return Entry{By: p.Name, Via: p.Via, Action: action, Object: object, OK: true}
}
