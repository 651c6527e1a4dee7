package master

import (
	"context"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/master/returns"
)

// Jobs returns the latest jobs, newest first, at most 1000. A job that misses
// more than 1000 peels names them in Job only.
func (m *Master) Jobs(_ context.Context, limit int) ([]fleet.Job, error) {
	l, err := m.running()
	if err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = defaultPage
	}
	return l.board.latest(limit), nil
}

// Job returns a job and every return that there is now, also those that came
// after its end: the summary is counted anew from them.
func (m *Master) Job(ctx context.Context, jid string) (fleet.Job, []fleet.Return, error) {
	l, err := m.running()
	if err != nil {
		return fleet.Job{}, nil, err
	}
	if !job.ValidJID(jid) {
		return fleet.Job{}, nil, errs.New(errs.NotFound, "%.64q is no job id; rind job list shows the latest jobs", jid)
	}
	rec, err := l.records.Read(ctx, jid)
	if err != nil {
		return fleet.Job{}, nil, err
	}
	targets, err := l.records.Targets(ctx, rec)
	if err != nil {
		return fleet.Job{}, nil, err
	}
	all, err := l.returns.Load(ctx, jid, targets)
	for err == nil && len(all) < rec.Summary.Answered && l.board.run(jid) == nil && unsettled(&rec.Job) && l.sleep(settleAgain) && ctx.Err() == nil {
		all, err = l.returns.Load(ctx, jid, targets)
	}
	if err != nil {
		return fleet.Job{}, nil, err
	}
	j := rec.Job
	if r := l.board.run(jid); r != nil {
		all = r.merge(all)
		j = r.glance()
	}
	unsent := j.Summary.Unsent
	j.Summary = returns.Summarise(targets, all)
	j.Summary.Unsent = min(unsent, j.Summary.Missing)
	return j, all, nil
}

// Glance returns a job with its counts, as far as this master knows them
// without a look at every return.
func (m *Master) Glance(ctx context.Context, jid string) (fleet.Job, error) {
	l, err := m.running()
	if err != nil {
		return fleet.Job{}, err
	}
	if r := l.board.run(jid); r != nil {
		return r.glance(), nil
	}
	if rec := l.board.record(jid); rec != nil && rec.Over() {
		return rec.Job, nil
	}
	j, _, err := m.Job(ctx, jid)
	return j, err
}

// Returns are counted before they are stored, which takes some seconds when a
// large fleet answers. Until then the master that collected them alone has all.
const (
	settled     = 10 * time.Second
	settleAgain = 100 * time.Millisecond
)

// unsettled reports whether a job has ended so lately that some of its returns
// may not be in their bucket yet.
func unsettled(j *fleet.Job) bool { return time.Since(j.Ended) < settled }
