package peel

import (
	"context"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/fleet/job"
)

// active are the jobs that wait or run here, so that they can be cancelled.
type active struct {
	mu   sync.Mutex
	jobs map[string]*activeJob
}

type activeJob struct {
	end  context.CancelFunc // nil while it waits
	gone bool               // cancelled
}

func newActive() *active { return &active{jobs: map[string]*activeJob{}} }

func (a *active) add(jid string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.jobs[jid] = &activeJob{}
}

func (a *active) remove(jid string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.jobs, jid)
}

// begin notes how a job that runs now is ended. It reports false when the job
// was cancelled while it waited.
func (a *active) begin(jid string, end context.CancelFunc) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	j := a.jobs[jid]
	if j == nil || j.gone {
		return false
	}
	j.end = end
	return true
}

// cancel ends a job, and reports whether it is here.
func (a *active) cancel(jid string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	j := a.jobs[jid]
	if j == nil {
		return false
	}
	j.gone = true
	if j.end != nil {
		j.end()
	}
	return true
}

func (a *active) cancelled(jid string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	j := a.jobs[jid]
	return j != nil && j.gone
}

// names are the ids of all of them.
func (a *active) names() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]string, 0, len(a.jobs))
	for jid := range a.jobs {
		out = append(out, jid)
	}
	return out
}

// cancel does what a master says about another job: one that runs is ended,
// one that waits does not begin, and one that is still to come is not run when
// it comes.
func (p *Peel) cancel(r *running, body *job.Body) {
	if err := r.seen.Answered(body.JID, time.Now()); err != nil {
		p.log.Error("cannot note a job as answered", "jid", body.JID, "error", err)
	}
	if len(body.Args) != 1 || !job.ValidJID(body.Args[0]) {
		p.log.Warn("a master cancels what is no job", "by", body.By)
		return
	}
	jid := body.Args[0]
	if r.active.cancel(jid) {
		p.log.Info("job cancelled", "jid", jid, "by", body.By)
		return
	}
	if r.seen.Has(jid) {
		return // it is answered already
	}
	until := time.Now().Add(keepReturns)
	if fresh, err := r.seen.Add(jid, until, time.Now()); err != nil || !fresh {
		p.log.Error("cannot note a job as cancelled", "jid", jid, "error", err)
		return
	}
	if err := r.seen.Answered(jid, time.Now()); err != nil {
		p.log.Error("cannot note a job as answered", "jid", jid, "error", err)
	}
}
