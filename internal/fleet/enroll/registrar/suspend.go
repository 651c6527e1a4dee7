package registrar

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
)

// liftEvery is how often suspensions that are over are lifted.
const liftEvery = 2 * time.Second

// Suspend keeps a peel off the bus: its connections are closed, and it is
// given no permission until the suspension is over. What is known of the peel
// stays. It can be repeated, by several masters too: the first one counts.
func (r *Registrar) Suspend(ctx context.Context, id fleet.PeelID, s fleet.Suspension, by string) error {
	return retry(func() error {
		cur, err := r.read(ctx, string(id))
		if err != nil {
			return err
		}
		switch {
		case cur.found && cur.State == enroll.Suspended && !worse(s, *cur.Suspension):
			return r.deps.Issuer.Suspend(ctx, cur.PublicKey)
		case !cur.found || cur.State != enroll.Approved && cur.State != enroll.Suspended:
			return errs.New(errs.Conflict, "%s is no peel, so there is none to suspend", id)
		}
		return r.suspend(ctx, cur, s, by)
	})
}

// worse reports whether a suspension outlasts the one that there is.
func worse(s, than fleet.Suspension) bool { return s.Until.IsZero() && !than.Until.IsZero() }

func (r *Registrar) suspend(ctx context.Context, cur versioned, s fleet.Suspension, by string) error {
	rec := cur.Record
	rec.State, rec.By, rec.Decided, rec.Suspension = enroll.Suspended, by, r.deps.Now().UTC(), &s
	if err := r.write(ctx, cur, rec); err != nil {
		return err
	}
	r.suspensions.WithLabelValues(s.Reason).Inc()
	r.deps.Log.Error("a peel is kept off the bus", "peel", rec.ID, "reason", s.Reason, "why", s.Detail,
		"addresses", s.Addresses, "until", untilWord(s), "by", by, "hint", message(rec))
	r.audit(ctx, by, "peel.suspend", rec.ID, message(rec))
	if err := r.deps.Issuer.Suspend(ctx, rec.PublicKey); err != nil {
		return fmt.Errorf("%s is recorded as suspended, but closing its connections failed: %w", rec.ID, err)
	}
	return nil
}

// lift makes a suspended peel an approved one again. It comes back with its
// next renewal.
func (r *Registrar) lift(ctx context.Context, cur versioned, by string) error {
	rec := cur.Record
	was := rec.Suspension
	rec.State, rec.By, rec.Decided, rec.Suspension = enroll.Approved, by, r.deps.Now().UTC(), nil
	if err := r.write(ctx, cur, rec); err != nil {
		return err
	}
	r.deps.Log.Info("a peel may come back to the bus", "peel", rec.ID, "was_suspended_for", was.Reason, "by", by)
	return nil
}

// liftLoop lifts what is over. Of several servers one does.
func (r *Registrar) liftLoop(ctx context.Context) {
	t := time.NewTicker(liftEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if err := r.liftDue(ctx); err != nil && ctx.Err() == nil {
			r.deps.Log.Warn("cannot end a suspension that is over; trying again", "error", err)
		}
	}
}

func (r *Registrar) liftDue(ctx context.Context) error {
	_, _, idx, err := r.buckets()
	if err != nil || idx.count(enroll.Suspended) == 0 {
		return nil //nolint:nilerr // while the registrar does not run, nothing is due
	}
	for _, rec := range idx.list(enroll.Suspended) {
		if !rec.Suspension.Over(r.deps.Now()) {
			continue
		}
		err := retry(func() error {
			cur, err := r.read(ctx, string(rec.ID))
			if err != nil || cur.State != enroll.Suspended || !cur.Suspension.Over(r.deps.Now()) {
				return err
			}
			return r.lift(ctx, cur, "the end of its time")
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Suspended returns why a peel is kept off the bus, if it is.
func (r *Registrar) Suspended(id fleet.PeelID) (fleet.Suspension, bool) {
	_, _, idx, err := r.buckets()
	if err != nil {
		return fleet.Suspension{}, false
	}
	rec, ok := idx.get(string(id))
	if !ok || rec.State != enroll.Suspended || rec.Suspension.Over(r.deps.Now()) {
		return fleet.Suspension{}, false
	}
	return *rec.Suspension, true
}

// audit writes into the trail what the server does by itself.
func (r *Registrar) audit(ctx context.Context, by, action string, id fleet.PeelID, detail string) {
	if r.deps.Audit == nil {
		return
	}
	if err := r.deps.Audit(ctx, by, action, string(id), detail); err != nil {
		r.deps.Log.Error("an action is missing in the audit trail", "action", action, "by", by, "object", id, "error", err)
	}
}

// suspended says to people why, until when, and what to do.
func suspended(rec enroll.Record) string {
	s := rec.Suspension
	switch {
	case s.Reason == fleet.SuspendedCopy:
		return fmt.Sprintf("two hosts use the key of %s (%s), so that both are kept off the bus: on the one that is to be %s, move its peel folder away, enroll it with a new token, and run rind enroll approve --replace %s on the server; enroll the other one in the same way under an id of its own",
			rec.ID, strings.Join(s.Addresses, " and "), rec.ID, rec.ID)
	case s.Until.IsZero():
		return fmt.Sprintf("%s is kept off the bus: %s; rind enroll approve %s on the server lets it back", rec.ID, s.Detail, rec.ID)
	}
	return fmt.Sprintf("%s is kept off the bus until %s: %s; rind enroll approve %s on the server lets it back at once", rec.ID, stamp(s.Until), s.Detail, rec.ID)
}

func untilWord(s fleet.Suspension) string {
	if s.Until.IsZero() {
		return "one of the hosts is enrolled again"
	}
	return stamp(s.Until)
}
