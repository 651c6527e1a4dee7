package master

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/master/record"
)

// maxJobs is how many jobs are listed; older ones are found by their id.
const maxJobs = 1000

// board holds the records of the latest jobs, of any master, and the jobs
// whose answers this one collects.
type board struct {
	held atomic.Int64

	mu      sync.RWMutex
	records map[string]*record.Record
	order   []string // ids, oldest first
	runs    map[string]*run
	busy    map[string]bool // jobs that are being taken up
}

func newBoard() *board {
	return &board{records: map[string]*record.Record{}, runs: map[string]*run{}, busy: map[string]bool{}}
}

// put keeps a record, and drops the oldest that is done when there are too
// many.
func (b *board) put(r *record.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if old := b.records[r.JID]; old != nil {
		if r.Revision >= old.Revision {
			b.records[r.JID] = r
		}
		return
	}
	b.records[r.JID] = r
	at, _ := slices.BinarySearch(b.order, r.JID)
	b.order = slices.Insert(b.order, at, r.JID)
	for i := 0; len(b.order) > maxJobs && i < len(b.order); i++ {
		if jid := b.order[i]; b.records[jid].Over() {
			delete(b.records, jid)
			b.order = slices.Delete(b.order, i, i+1)
			i--
		}
	}
}

// remove forgets a record that was deleted.
func (b *board) remove(jid string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at, found := slices.BinarySearch(b.order, jid); found {
		b.order = slices.Delete(b.order, at, at+1)
	}
	delete(b.records, jid)
}

// knows reports whether a record of the job is in memory.
func (b *board) knows(jid string) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.records[jid] != nil || b.runs[jid] != nil
}

// record returns what was written of a job last, nil when it is not among the
// latest.
func (b *board) record(jid string) *record.Record {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.records[jid]
}

func (b *board) run(jid string) *run {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.runs[jid]
}

// hold is how long the returns of a job may wait for one another.
func (b *board) hold(jid string) time.Duration {
	if r := b.run(jid); r != nil {
		return patienceOf(len(r.targets)) / 2
	}
	return 0
}

func (b *board) add(r *run) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.runs[r.rec.JID] = r
}

func (b *board) drop(r *run) {
	b.mu.Lock()
	delete(b.runs, r.rec.JID)
	b.mu.Unlock()
	r.release()
}

// begin reports whether nobody here takes up the job already; end has to
// follow.
func (b *board) begin(jid string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.busy[jid] {
		return false
	}
	b.busy[jid] = true
	return true
}

func (b *board) end(jid string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.busy, jid)
}

// latest returns jobs, newest first. Those that run here have their counts of
// now.
func (b *board) latest(limit int) []fleet.Job {
	b.mu.RLock()
	defer b.mu.RUnlock()
	out := make([]fleet.Job, 0, min(limit, len(b.order)))
	for i := len(b.order) - 1; i >= 0 && len(out) < limit; i-- {
		jid := b.order[i]
		j := b.records[jid].Job
		if r := b.runs[jid]; r != nil {
			if j = r.glance(); j.Summary.Missing <= record.MaxNamed {
				j = r.job()
			}
		}
		out = append(out, j)
	}
	return out
}

// open returns the records of jobs that go on, or that a host may still get,
// and that are not collected here.
func (b *board) open(now time.Time) []*record.Record {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []*record.Record
	for jid, r := range b.records {
		if r.Owed(now) && b.runs[jid] == nil {
			out = append(out, r)
		}
	}
	return out
}

// collected returns the jobs that are collected here.
func (b *board) collected() []*run {
	b.mu.RLock()
	defer b.mu.RUnlock()
	out := make([]*run, 0, len(b.runs))
	for _, r := range b.runs {
		out = append(out, r)
	}
	return out
}

// expire forgets the records that the bucket has dropped by now.
func (b *board) expire(before time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.order = slices.DeleteFunc(b.order, func(jid string) bool {
		old := b.runs[jid] == nil && b.records[jid].Created.Before(before)
		if old {
			delete(b.records, jid)
		}
		return old
	})
}
