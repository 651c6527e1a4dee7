package master

import (
	"context"
	"slices"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
)

// searched is how many of the latest jobs are looked through for those of one
// peel: a read of one key each.
const searched = 200

// JobsOf returns the latest jobs that were for one peel, newest first, at most
// limit of them. Older jobs than the latest 200 are not looked at.
func (m *Master) JobsOf(ctx context.Context, id fleet.PeelID, limit int) ([]fleet.Job, error) {
	l, err := m.running()
	if err != nil {
		return nil, err
	}
	if _, err := fleet.ParsePeelID(string(id)); err != nil {
		return nil, errs.New(errs.Invalid, "listing the jobs of a peel: %w", err)
	}
	var out []fleet.Job
	for _, j := range l.board.latest(searched) {
		if len(out) == limit {
			break
		}
		ours, err := l.aimedAt(ctx, &j, id)
		if err != nil {
			return nil, err
		}
		if ours {
			out = append(out, j)
		}
	}
	return out, nil
}

// aimedAt reports whether a job was for a peel: whoever was either is named as
// missing or has answered. The target list, which is long in a large fleet, is
// read only for a job that misses more peels than its record names.
func (l *live) aimedAt(ctx context.Context, j *fleet.Job, id fleet.PeelID) (bool, error) {
	if r := l.board.run(j.JID); r != nil {
		_, found := slices.BinarySearch(r.targets, id)
		return found, nil
	}
	if _, found := slices.BinarySearch(j.Summary.MissingPeels, id); found {
		return true, nil
	}
	if has, err := l.returns.Has(ctx, j.JID, id); has || err != nil {
		return has, err
	}
	if j.Summary.Missing == len(j.Summary.MissingPeels) && !unsettled(j) {
		return false, nil
	}
	rec, err := l.records.Read(ctx, j.JID)
	if errs.Is(err, errs.NotFound) {
		return false, nil // it is older than what is kept, by now
	}
	if err != nil {
		return false, err
	}
	targets, err := l.records.Targets(ctx, rec)
	if err != nil {
		return false, err
	}
	_, found := slices.BinarySearch(targets, id)
	return found, nil
}
