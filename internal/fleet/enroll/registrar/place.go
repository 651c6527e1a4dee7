package registrar

import (
	"context"
	"net/netip"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/enroll"
)

// place finds the record where a proven enrollment belongs, uses up the token,
// and writes it.
func (r *Registrar) place(ctx context.Context, c challenge, addr netip.Addr) (enroll.Record, error) {
	var rec enroll.Record
	err := retry(func() error {
		cur, next, err := r.slots(ctx, c.ID)
		if err != nil {
			return err
		}
		at, known, err := slotFor(c, cur, next)
		if err != nil {
			return err
		}
		if !known {
			if err := r.room(c); err != nil {
				return err
			}
		}
		if err := r.useToken(ctx, c.TokenID, c.ID, c.PublicKey); err != nil {
			return err
		}
		if known {
			rec = at.Record
			return nil
		}
		rec = r.record(c, addr)
		rec.Replaces = at.key != string(c.ID)
		if c.Auto && !cur.found && !next.found {
			rec.State, rec.Decided, rec.By = enroll.Approved, rec.Created, "token "+c.TokenID
		}
		return r.write(ctx, at, rec)
	})
	if err == nil {
		r.deps.Log.Info("enrollment", "id", rec.ID, "state", rec.State, "fingerprint", rec.Fingerprint, "address", rec.Address, "replaces", rec.Replaces)
	}
	return rec, err
}

// slotFor decides which record a key gets. Known: it has one already, which
// stands. A rejected or revoked record does not hold its id; a revoked key
// stays out.
func slotFor(c challenge, cur, next versioned) (at versioned, known bool, err error) {
	for _, v := range []versioned{cur, next} {
		if !v.found || v.PublicKey != c.PublicKey {
			continue
		}
		switch v.State {
		case enroll.Approved, enroll.Pending, enroll.Suspended:
			return v, true, nil
		case enroll.Revoked:
			return v, false, errs.New(errs.Gone, "%s", message(v.Record))
		}
	}
	if !holds(cur) && !holds(next) {
		return cur, false, nil
	}
	if holds(next) {
		return next, false, errs.New(errs.Conflict, "another host waits for the id %s already; decide about it first with rind enroll approve --replace %s or rind enroll reject %s, or choose another id", c.ID, c.ID, c.ID)
	}
	return next, false, nil
}

// holds reports whether the record keeps others from its slot.
func holds(v versioned) bool {
	return v.found && holding(v.State)
}

// holding reports whether a record in this state holds its id and its key.
func holding(s enroll.State) bool {
	return s == enroll.Pending || s == enroll.Approved || s == enroll.Suspended
}

// room refuses a record that would be one too many, of all or of this key: a
// key has one id, so that revoking it ends one peel.
func (r *Registrar) room(c challenge) error {
	_, _, idx, err := r.buckets()
	if err != nil {
		return err
	}
	if id, ok := idx.holder(c.PublicKey); ok && id != c.ID {
		return errs.New(errs.Conflict, "this host's key is enrolled as %s already; move its peel folder away to enroll it as %s, and revoke %s when that one is to end", id, c.ID, id)
	}
	if n := idx.count(enroll.Pending); n >= r.cfg.MaxPending {
		return errs.New(errs.Unavailable, "%d enrollments wait for approval, which is the limit; approve or reject some with rind enroll list on the server", n)
	}
	return nil
}

func (r *Registrar) record(c challenge, addr netip.Addr) enroll.Record {
	rec := enroll.Record{
		ID: c.ID, State: enroll.Pending, PublicKey: c.PublicKey, Fingerprint: enroll.Fingerprint(c.PublicKey),
		Hostname: c.Hostname, Version: c.Version, TokenID: c.TokenID, Created: r.deps.Now().UTC(),
	}
	if addr.IsValid() {
		rec.Address = addr.Unmap().String()
	}
	return rec
}
