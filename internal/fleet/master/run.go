package master

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job"
)

// maxHeld bounds the bytes of values that all jobs together hold in memory for
// those who watch. What is over it is read from the bucket.
const maxHeld = 128 << 20

// run is a job whose answers are collected here.
type run struct {
	held *atomic.Int64 // bytes of values, of all jobs

	mu       sync.Mutex
	rec      record
	targets  []fleet.PeelID // sorted
	state    []uint8        // of each target: waiting, ok or failed
	answered int
	failed   int
	log      []answer // in the order in which they came
	mine     int64    // bytes of held that are this job's
	parts    map[fleet.PeelID]map[int]bool
	news     chan struct{} // closed at each change, and replaced
	full     chan struct{} // closed when all have answered
	done     bool
	dirty    bool // something came after the record was written
}

// States of a target.
const (
	waiting uint8 = iota
	ok
	failed
)

// answer is a return as it came; trimmed says that its value is only in the
// bucket.
type answer struct {
	ret     fleet.Return
	trimmed bool
}

func newRun(rec record, targets []fleet.PeelID, held *atomic.Int64) *run {
	return &run{
		held: held, rec: rec, targets: targets, state: make([]uint8, len(targets)),
		parts: map[fleet.PeelID]map[int]bool{}, news: make(chan struct{}), full: make(chan struct{}),
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
	if r.state[i] != waiting {
		return "duplicate"
	}
	r.answered++
	r.state[i] = ok
	if !ret.OK {
		r.state[i] = failed
		r.failed++
	}
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
	if r.answered == len(r.targets) {
		close(r.full)
	}
	return ""
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
	if r.state[i] != waiting || r.parts[p.Peel][n] {
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
	close(r.news)
	r.news = make(chan struct{})
}

// job returns the record with the counts as they are now.
func (r *run) job() fleet.Job {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.jobLocked()
}

func (r *run) jobLocked() fleet.Job {
	j := r.rec.Job
	j.Summary = fleet.Summary{Targeted: len(r.targets), Answered: r.answered, Failed: r.failed, Missing: len(r.targets) - r.answered}
	for i, s := range r.state {
		if s == waiting {
			j.Summary.MissingPeels = append(j.Summary.MissingPeels, r.targets[i])
		}
	}
	return j
}

// after returns what was answered from position n on, whether the job is
// done, and what to wait for.
func (r *run) after(n int) ([]answer, bool, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log[n:len(r.log):len(r.log)], r.done, r.news
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
	seen, _, _ := r.after(0)
	for _, a := range seen {
		if !have[a.ret.Peel] {
			stored = append(stored, a.ret)
		}
	}
	slices.SortFunc(stored, byPeel)
	return stored
}

func byPeel(a, b fleet.Return) int { return strings.Compare(string(a.Peel), string(b.Peel)) }
