package master

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/master/record"
	"github.com/rind-project/rind/internal/fleet/master/returns"
	"github.com/rind-project/rind/internal/fleet/master/rollout"
)

// maxHeld bounds the bytes of values that all jobs together hold in memory for
// those who watch. What is over it is read from the bucket.
const maxHeld = 128 << 20

// run is a job whose answers are collected here.
type run struct {
	held *atomic.Int64 // bytes of values, of all jobs
	plan rollout.Plan

	mu      sync.Mutex
	rec     record.Record
	targets []fleet.PeelID // sorted
	order   []int32        // in which they get the job: places in targets
	state   []uint8        // of each target
	flights []flight       // what was sent and is waited for, oldest first
	tally   tally
	settled time.Time // when the last wave had ended; zero while it goes on
	before  int       // failures before the present wave
	halt    string    // why nothing more is sent, once that is so
	want    []control // what people asked for, and is not done yet

	log     []answer // in the order in which they came
	mine    int64    // bytes of held that are this job's
	parts   map[fleet.PeelID]map[int]bool
	news    chan struct{} // closed at each change that somebody waits for, and replaced
	watched bool          // somebody waits for news
	wake    chan struct{} // has room for one; the driver looks again
	steps   int           // how often the job came to another wave or state
	stepAt  int           // how many had answered by the last time
	done    bool
	dirty   bool // something came after the record was written
}

// States of a target.
const (
	unsent  uint8 = iota
	waiting       // has got it
	missed        // has not answered in time, and may still
	ok
	failed
)

// tally counts targets by what became of them.
type tally struct{ answered, failed, cancelled, withdrawn, missed, open int }

// failures are the targets that count against max_failures.
func (t tally) failures() int { return t.failed + t.missed }

// flight is a range of positions that were sent at once.
type flight struct {
	from, to int
	until    time.Time
}

// answer is a return as it came; trimmed says that its value is only in the
// bucket.
type answer struct {
	ret     fleet.Return
	trimmed bool
}

func newRun(rec record.Record, targets []fleet.PeelID, p rollout.Plan, held *atomic.Int64) *run {
	return &run{
		held: held, plan: p, rec: rec, targets: targets, order: p.Order(rec.JID, len(targets)), state: make([]uint8, len(targets)),
		parts: map[fleet.PeelID]map[int]bool{}, news: make(chan struct{}), wake: make(chan struct{}, 1),
	}
}

// take counts a whole return. It returns why it did not, "" when it did.
func (r *run) take(ret fleet.Return) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, ours := slices.BinarySearch(r.targets, ret.Peel)
	if !ours {
		return "untargeted"
	}
	switch r.state[i] {
	case ok, failed:
		return "duplicate"
	case waiting:
		r.tally.open--
	case missed:
		r.tally.missed--
	}
	r.count(i, ret)
	delete(r.parts, ret.Peel)
	a := answer{ret: ret}
	if n := int64(len(ret.Value)); r.held.Add(n) <= maxHeld {
		r.mine += n
	} else {
		r.held.Add(-n)
		a.ret.Value, a.trimmed = nil, true
	}
	r.log = append(r.log, a)
	r.dirty = true
	r.tell()
	if r.tally.open == 0 || r.plan.Window < len(r.targets) || r.plan.Failures >= 0 {
		r.rouse()
	}
	return ""
}

func (r *run) count(i int, ret fleet.Return) {
	r.tally.answered++
	r.state[i] = ok
	if ret.OK {
		return
	}
	r.state[i] = failed
	r.tally.failed++
	switch ret.Reason {
	case job.ReasonCancelled:
		r.tally.cancelled++
	case job.ReasonWithdrawn:
		r.tally.withdrawn++
	}
}

// part notes a part of a return, and reports whether that was the last one
// missing.
func (r *run) part(p job.Part, n int) (complete bool, stray string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, ours := slices.BinarySearch(r.targets, p.Peel)
	if !ours {
		return false, "untargeted"
	}
	if r.state[i] >= ok || r.parts[p.Peel][n] {
		return false, "duplicate"
	}
	if r.parts[p.Peel] == nil {
		r.parts[p.Peel] = map[int]bool{}
	}
	r.parts[p.Peel][n] = true
	return len(r.parts[p.Peel]) == p.Of, ""
}

// tell wakes those who watch. The caller holds the lock.
func (r *run) tell() {
	if r.watched {
		close(r.news)
		r.news, r.watched = make(chan struct{}), false
	}
}

// step tells those who watch that the job came to another wave or state. The
// caller holds the lock.
func (r *run) step() {
	r.steps++
	r.stepAt = len(r.log)
	r.tell()
}

// rouse has the driver look again.
func (r *run) rouse() {
	select {
	case r.wake <- struct{}{}:
	default: // it will
	}
}

// job returns the record with the counts as they are now.
func (r *run) job() fleet.Job {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.jobLocked()
}

func (r *run) jobLocked() fleet.Job {
	j := r.glanceLocked()
	for i, s := range r.state {
		if s < ok {
			j.Summary.MissingPeels = append(j.Summary.MissingPeels, r.targets[i])
		}
	}
	return j
}

// glance is job without the names of those who are missing.
func (r *run) glance() fleet.Job {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.glanceLocked()
}

func (r *run) glanceLocked() fleet.Job {
	j, t := r.rec.Job, r.tally
	j.Summary = fleet.Summary{Targeted: len(r.targets), Answered: t.answered, Failed: t.failed, Cancelled: t.cancelled, Withdrawn: t.withdrawn,
		Missing: len(r.targets) - t.answered, Unsent: r.unsentLocked()}
	return j
}

func (r *run) unsentLocked() int {
	n := 0
	for _, at := range r.order[r.rec.Sent:] {
		if r.state[at] == unsent {
			n++
		}
	}
	return n
}

// glimpse is what is new of a job for somebody who watches it.
type glimpse struct {
	answers []answer
	steps   int // how often the job came to another wave or state
	before  int // how many of the answers came before the last time
	done    bool
	news    <-chan struct{} // what to wait for
}

// after returns what is new behind the first n answers.
func (r *run) after(n int) glimpse {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watched = true
	return glimpse{answers: r.log[n:len(r.log):len(r.log)], steps: r.steps, before: max(0, r.stepAt-n), done: r.done, news: r.news}
}

// owes returns the place of a peel among the targets when it was sent the job
// and has not answered.
func (r *run) owes(id fleet.PeelID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, ours := slices.BinarySearch(r.targets, id)
	return ours && (r.state[i] == waiting || r.state[i] == missed)
}

// owing returns all of those, sorted.
func (r *run) owing() []fleet.PeelID {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []fleet.PeelID
	for i, s := range r.state {
		if s == waiting || s == missed {
			out = append(out, r.targets[i])
		}
	}
	return out
}

// release gives back the memory that the values took.
func (r *run) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held.Add(-r.mine)
	r.mine = 0
}

// merge adds what was seen here and is not in the bucket yet, which may be a
// moment behind. The result is sorted by peel.
func (r *run) merge(stored []fleet.Return) []fleet.Return {
	have := make(map[fleet.PeelID]bool, len(stored))
	for _, ret := range stored {
		have[ret.Peel] = true
	}
	r.mu.Lock()
	seen := r.log[:len(r.log):len(r.log)]
	r.mu.Unlock()
	for _, a := range seen {
		if !have[a.ret.Peel] {
			stored = append(stored, a.ret)
		}
	}
	slices.SortFunc(stored, returns.ByPeel)
	return stored
}

// words says in a line what became of a cancelled job.
func (t tally) words(unsent, targets int) string {
	text := fmt.Sprintf("it had run on %s, was ended on %d, had not begun on %d",
		hosts(t.answered-t.cancelled-t.withdrawn), t.cancelled, t.withdrawn+unsent)
	if silent := targets - t.answered - unsent; silent > 0 {
		text += fmt.Sprintf("; %s did not say", hosts(silent))
	}
	return text
}

func hosts(n int) string {
	if n == 1 {
		return "1 host"
	}
	return fmt.Sprintf("%d hosts", n)
}
