// Package apitest serves the real API, behind the real guard and on a real
// database, over services that are small and kept in memory. It is for the
// tests of the API and of what asks it.
package apitest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/master"
	"github.com/rind-project/rind/internal/fleet/settings"
	"github.com/rind-project/rind/internal/fleet/settings/compile"
	"github.com/rind-project/rind/internal/fleet/target"
)

// Now is the moment at which everything here happens.
var Now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Reply is what a peel does with a job: nil is no answer.
type Reply func(fleet.JobRequest) *fleet.Return

// Fleet is a fleet in memory.
type Fleet struct {
	Gate chan struct{} // when not nil, each event of Watch waits for one

	mu      sync.Mutex
	peels   []fleet.Peel
	replies map[fleet.PeelID]Reply
	jobs    []fleet.Job
	ran     int
	returns map[string][]fleet.Return
	changed []chan struct{}
	fail    error
	layers  *compile.Compiler
}

// NewFleet makes an empty fleet.
func NewFleet() *Fleet {
	return &Fleet{replies: map[fleet.PeelID]Reply{}, returns: map[string][]fleet.Return{}}
}

// Add enrolls a peel.
func (f *Fleet) Add(p fleet.Peel, reply Reply) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.peels = append(f.peels, p)
	slices.SortFunc(f.peels, func(a, b fleet.Peel) int { return slices.Compare([]byte(a.ID), []byte(b.ID)) })
	f.replies[p.ID] = reply
}

// Fail makes every call fail with an error, until it is nil.
func (f *Fleet) Fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

// Change tells everybody who watches that something changed.
func (f *Fleet) Change() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.changed {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Settings implements api.Fleet.
func (f *Fleet) Settings(ctx context.Context, id fleet.PeelID) (settings.Effective, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return settings.Effective{}, f.fail
	}
	x := target.NewIndex()
	for _, p := range f.peels {
		x.Put(p.ID, p.Facts)
	}
	if _, known := x.Facts(id); !known {
		return settings.Effective{}, errs.New(errs.NotFound, "there is no peel %q; rind peel list shows all", id)
	}
	f.layers.Attach(x)
	return f.layers.Show(ctx, id)
}

// Watching counts those who watch for changes.
func (f *Fleet) Watching() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.changed)
}

// Peels implements api.Fleet.
func (f *Fleet) Peels(_ context.Context, q master.PeelQuery) ([]fleet.Peel, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return nil, f.fail
	}
	var out []fleet.Peel
	for _, p := range f.peels {
		if ok, err := match(q.Match, p); err != nil {
			return nil, err
		} else if ok && p.ID > q.After && len(out) < q.Limit {
			p.Facts = nil
			out = append(out, p)
		}
	}
	return out, nil
}

func match(text string, p fleet.Peel) (bool, error) {
	if text == "" {
		return true, nil
	}
	e, err := target.Parse(text)
	if err != nil {
		return false, err
	}
	return e.Match(p.ID, p.Facts), nil
}

// TestTarget implements api.Fleet.
func (f *Fleet) TestTarget(ctx context.Context, q master.PeelQuery) (fleet.TargetTest, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return fleet.TargetTest{}, f.fail
	}
	e, err := target.Parse(q.Match)
	if err != nil {
		return fleet.TargetTest{}, err
	}
	x := target.NewIndex()
	for _, p := range f.peels {
		x.Put(p.ID, p.Facts)
	}
	return x.Test(ctx, e, q.After, q.Limit)
}

// Peel implements api.Fleet.
func (f *Fleet) Peel(_ context.Context, id fleet.PeelID) (fleet.Peel, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.peels {
		if p.ID == id && f.fail == nil {
			return p, nil
		}
	}
	if f.fail != nil {
		return fleet.Peel{}, f.fail
	}
	return fleet.Peel{}, errs.New(errs.NotFound, "there is no peel %q", id)
}

// Run implements api.Fleet.
func (f *Fleet) Run(_ context.Context, req fleet.JobRequest) (fleet.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return fleet.Job{}, f.fail
	}
	job := fleet.Job{
		JID: fmt.Sprintf("01980c6e-0000-7000-8000-%012d", f.ran+1), Target: req.Target, Function: req.Function, Args: req.Args,
		By: req.By, State: fleet.JobDone, Created: Now.Add(-time.Minute), Expires: Now, Ended: Now,
	}
	for _, p := range f.peels {
		ok, err := match(req.Target, p)
		if err != nil {
			return fleet.Job{}, err
		}
		if ok {
			f.answer(&job, p.ID, req)
		}
	}
	if job.Summary.Targeted == 0 {
		return fleet.Job{}, errs.New(errs.NotFound, "no peel matches %q", req.Target)
	}
	f.ran++
	f.jobs = append([]fleet.Job{job}, f.jobs...)
	job.Unknown = f.unknown(req.Target)
	return job, nil
}

// unknown are the ids of the target's lists that nobody has.
func (f *Fleet) unknown(expr string) []fleet.PeelID {
	e, err := target.Parse(expr)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(e.Listed(), func(id fleet.PeelID) bool {
		return slices.ContainsFunc(f.peels, func(p fleet.Peel) bool { return p.ID == id })
	})
}

func (f *Fleet) answer(job *fleet.Job, id fleet.PeelID, req fleet.JobRequest) {
	sum := &job.Summary
	sum.Targeted++
	r := f.replies[id](req)
	if r == nil {
		sum.Missing++
		sum.MissingPeels = append(sum.MissingPeels, id)
		return
	}
	r.JID, r.Peel, r.Started, r.Finished = job.JID, id, Now, Now
	sum.Answered++
	if !r.OK {
		sum.Failed++
	}
	f.returns[job.JID] = append(f.returns[job.JID], *r)
}

// Plan implements api.Fleet.
func (f *Fleet) Plan(_ context.Context, req fleet.JobRequest) (fleet.JobPlan, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := fleet.JobPlan{Start: req.Start, Expires: Now, Failures: -1}
	w := fleet.JobWave{}
	for _, h := range f.peels {
		if ok, err := match(req.Target, h); err != nil {
			return p, err
		} else if ok {
			w.Hosts++
			w.Peels = append(w.Peels, h.ID)
		}
	}
	p.Targeted, p.Window, p.Waves = w.Hosts, w.Hosts, []fleet.JobWave{w}
	return p, f.fail
}

// Control implements api.Fleet: it does to the record what was asked for.
func (f *Fleet) Control(_ context.Context, jid, action, by string) (fleet.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.jobs {
		j := &f.jobs[i]
		switch {
		case j.JID != jid:
			continue
		case j.State.Ended():
			return *j, errs.New(errs.Conflict, "the job is %s already", j.State)
		}
		j.State = map[string]fleet.JobState{master.Cancel: fleet.JobCancelled, master.Pause: fleet.JobPaused, master.Resume: fleet.JobRunning}[action]
		j.Reason = "by " + by
		return *j, f.fail
	}
	return fleet.Job{}, errs.New(errs.NotFound, "there is no job %q", jid)
}

// Retry implements api.Fleet.
func (f *Fleet) Retry(ctx context.Context, jid, by string) (fleet.Job, error) {
	old, _, err := f.Job(ctx, jid)
	if err != nil {
		return old, err
	}
	j, err := f.Run(ctx, fleet.JobRequest{Target: old.Target, Function: old.Function, Args: old.Args, By: by})
	j.RetryOf = jid
	return j, err
}

// Unfinished makes a job that has not ended.
func (f *Fleet) Unfinished(state fleet.JobState) fleet.Job {
	f.mu.Lock()
	defer f.mu.Unlock()
	j := fleet.Job{JID: fmt.Sprintf("01980c6e-0000-7000-9000-%012d", len(f.jobs)+1), Target: "*", Function: "test.ping", State: state, Created: Now, Expires: Now.Add(time.Hour)}
	f.jobs = append([]fleet.Job{j}, f.jobs...)
	return j
}

// Jobs implements api.Fleet.
func (f *Fleet) Jobs(_ context.Context, limit int) ([]fleet.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.jobs[:min(limit, len(f.jobs))]), f.fail
}

// Job implements api.Fleet.
func (f *Fleet) Job(_ context.Context, jid string) (fleet.Job, []fleet.Return, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, j := range f.jobs {
		if j.JID == jid {
			return j, f.returns[jid], f.fail
		}
	}
	return fleet.Job{}, nil, errs.New(errs.NotFound, "there is no job %q", jid)
}

// Watch implements api.Fleet.
func (f *Fleet) Watch(ctx context.Context, jid string) (<-chan fleet.JobEvent, error) {
	job, returns, err := f.Job(ctx, jid)
	if err != nil {
		return nil, err
	}
	out := make(chan fleet.JobEvent)
	go func() {
		defer close(out)
		for i := range len(returns) + 1 {
			e := fleet.JobEvent{Done: &job}
			if i < len(returns) {
				e = fleet.JobEvent{Return: &returns[i]}
			}
			if f.Gate != nil {
				select {
				case <-f.Gate:
				case <-ctx.Done():
					return
				}
			}
			select {
			case out <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

// Changes implements api.Fleet.
func (f *Fleet) Changes(ctx context.Context) <-chan struct{} {
	c := make(chan struct{}, 1)
	f.mu.Lock()
	f.changed = append(f.changed, c)
	f.mu.Unlock()
	context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.changed = slices.DeleteFunc(f.changed, func(x chan struct{}) bool { return x == c })
	})
	return c
}

// OK is a return with a value.
func OK(value any) *fleet.Return {
	raw, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return &fleet.Return{OK: true, Value: raw}
}

// Always replies the same to every job.
func Always(r *fleet.Return) Reply {
	return func(fleet.JobRequest) *fleet.Return {
		if r == nil {
			return nil
		}
		clone := *r
		return &clone
	}
}
