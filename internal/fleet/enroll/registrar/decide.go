package registrar

import (
	"context"
	"fmt"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
)

// List returns the records in a state, or all of them, sorted by id.
func (r *Registrar) List(_ context.Context, state string) ([]enroll.Record, error) {
	switch s := enroll.State(state); s {
	case "", enroll.Pending, enroll.Approved, enroll.Rejected, enroll.Revoked, enroll.Suspended:
		_, _, idx, err := r.buckets()
		if err != nil {
			return nil, err
		}
		return idx.list(s), nil
	}
	return nil, errs.New(errs.Invalid, "%q is no state of an enrollment; use pending, approved, suspended, rejected or revoked", state)
}

// Show returns the record that holds an id, with the one that waits to replace
// it in Next.
func (r *Registrar) Show(ctx context.Context, id fleet.PeelID) (enroll.Record, error) {
	cur, next, err := r.both(ctx, id)
	if err != nil {
		return enroll.Record{}, err
	}
	if !cur.found {
		return next.Record, nil
	}
	if next.found {
		cur.Next = &next.Record
	}
	return cur.Record, nil
}

// Enrolled returns the ids of all peels, sorted: those that are approved, and
// those that are kept off the bus just now.
func (r *Registrar) Enrolled(context.Context) ([]fleet.PeelID, error) {
	_, _, idx, err := r.buckets()
	if err != nil {
		return nil, err
	}
	return idx.peels(), nil
}

// both reads an id's records and fails when there is none.
func (r *Registrar) both(ctx context.Context, id fleet.PeelID) (cur, next versioned, err error) {
	if _, err := fleet.ParsePeelID(string(id)); err != nil {
		return cur, next, errs.New(errs.Invalid, "%w", err)
	}
	cur, next, err = r.slots(ctx, id)
	if err == nil && !cur.found && !next.found {
		err = errs.New(errs.NotFound, "no enrollment of %s is known; rind enroll list shows all", id)
	}
	return cur, next, err
}

// Approve makes a peel of a host that waits. With replace, the key that holds
// the id is revoked and all that is known of it is forgotten before the id
// goes to the key that waits. It can be repeated after it failed half-way.
func (r *Registrar) Approve(ctx context.Context, id fleet.PeelID, by string, replace bool) error {
	return retry(func() error {
		cur, next, err := r.both(ctx, id)
		if err != nil {
			return err
		}
		if holds(cur) && next.found && cur.PublicKey == next.PublicKey {
			return r.remove(ctx, next) // what a replacement that was cut short left over
		}
		waits := next.found && next.State == enroll.Pending
		switch {
		case replace && waits:
			return r.replace(ctx, cur, next, by)
		case cur.found && cur.State == enroll.Suspended && !replace:
			if cur.Suspension.Reason == fleet.SuspendedCopy {
				return errs.New(errs.Conflict, "%s", message(cur.Record))
			}
			return r.lift(ctx, cur, by)
		case cur.found && cur.State == enroll.Pending:
			if err := r.deps.Issuer.Unrevoke(ctx, cur.PublicKey); err != nil {
				return err
			}
			return r.decide(ctx, cur, enroll.Approved, by)
		case waits:
			return errs.New(errs.Conflict, "the id %s belongs to another key; to take it from that one, and forget all that is known of it, use rind enroll approve --replace %s", id, id)
		case replace:
			return errs.New(errs.NotFound, "no other host waits for the id %s", id)
		case cur.State == enroll.Approved:
			return nil
		}
		return errs.New(errs.Conflict, "the enrollment of %s is %s; the host has to enroll again with a new token", id, cur.State)
	})
}

// replace gives an id to the key that waits for it.
func (r *Registrar) replace(ctx context.Context, cur, next versioned, by string) error {
	if cur.found {
		if err := r.revoke(ctx, cur, by); err != nil {
			return err
		}
		var err error
		if cur, err = r.read(ctx, cur.key); err != nil {
			return err
		}
	}
	if err := r.deps.Issuer.Unrevoke(ctx, next.PublicKey); err != nil {
		return err
	}
	rec := next.Record
	rec.State, rec.By, rec.Decided, rec.Replaces = enroll.Approved, by, r.deps.Now().UTC(), false
	rec.Suspension = nil
	if err := r.write(ctx, cur, rec); err != nil {
		return err
	}
	return r.remove(ctx, next)
}

// Reject turns down whatever waits under an id.
func (r *Registrar) Reject(ctx context.Context, id fleet.PeelID, by string) error {
	return retry(func() error {
		cur, next, err := r.both(ctx, id)
		if err != nil {
			return err
		}
		var did bool
		for _, v := range []versioned{cur, next} {
			if !v.found || v.State != enroll.Pending {
				continue
			}
			if err := r.decide(ctx, v, enroll.Rejected, by); err != nil {
				return err
			}
			did = true
		}
		if !did {
			return errs.New(errs.Conflict, "nothing waits under the id %s; to end a peel use rind enroll revoke %s", id, id)
		}
		return nil
	})
}

// Revoke ends a peel: its key is out for ever, its connection is closed at
// once, and what is known of it is forgotten. It can be repeated.
func (r *Registrar) Revoke(ctx context.Context, id fleet.PeelID, by string) error {
	return retry(func() error {
		cur, _, err := r.both(ctx, id)
		if err != nil {
			return err
		}
		if !cur.found || cur.State == enroll.Pending || cur.State == enroll.Rejected {
			return errs.New(errs.Conflict, "%s is no peel; to turn down one that waits use rind enroll reject %s", id, id)
		}
		return r.revoke(ctx, cur, by)
	})
}

// revoke writes the decision down first: whatever fails after it is finished
// by a repetition, or by the next start.
func (r *Registrar) revoke(ctx context.Context, cur versioned, by string) error {
	if cur.State != enroll.Revoked {
		if err := r.decide(ctx, cur, enroll.Revoked, by); err != nil {
			return err
		}
	}
	if err := r.deps.Issuer.Revoke(ctx, cur.PublicKey); err != nil {
		return fmt.Errorf("%s is recorded as revoked, but closing its connection failed; run the command again: %w", cur.ID, err)
	}
	if r.deps.Forget == nil {
		return nil
	}
	if err := r.deps.Forget(ctx, cur.ID); err != nil {
		return fmt.Errorf("%s is revoked, but forgetting what is known of it failed; run the command again: %w", cur.ID, err)
	}
	return nil
}

func (r *Registrar) decide(ctx context.Context, at versioned, s enroll.State, by string) error {
	rec := at.Record
	rec.State, rec.By, rec.Decided, rec.Suspension = s, by, r.deps.Now().UTC(), nil
	if err := r.write(ctx, at, rec); err != nil {
		return err
	}
	r.deps.Log.Info("enrollment", "id", rec.ID, "state", rec.State, "by", by, "fingerprint", rec.Fingerprint)
	return nil
}

// finishRevocations gives the bus the revocations of the last day, of which
// one may not have reached it. Older ones outlived every permission.
func (r *Registrar) finishRevocations(ctx context.Context) error {
	recs, err := r.List(ctx, string(enroll.Revoked))
	if err != nil {
		return err
	}
	for _, rec := range recs {
		if r.deps.Now().Sub(rec.Decided) > enroll.JWTLife+time.Hour {
			continue
		}
		if err := r.deps.Issuer.Revoke(ctx, rec.PublicKey); err != nil {
			return fmt.Errorf("revoking %s again: %w", rec.ID, err)
		}
	}
	if recs, err = r.List(ctx, string(enroll.Suspended)); err != nil {
		return err
	}
	for _, rec := range recs {
		if rec.Suspension.Over(r.deps.Now()) {
			continue
		}
		if err := r.deps.Issuer.Suspend(ctx, rec.PublicKey); err != nil {
			return fmt.Errorf("suspending %s again: %w", rec.ID, err)
		}
	}
	return nil
}
