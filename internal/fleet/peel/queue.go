package peel

import "sync"

// Limits of the queue.
const (
	maxWaiting  = 64
	readWorkers = 8
)

// queue runs jobs: those that only read have workers of their own, so that
// they are answered while a long one works. There is no worker when there is
// no job.
type queue struct {
	mu      sync.Mutex
	lanes   [2]lane
	waiting int
	closed  bool
	wg      sync.WaitGroup
}

type lane struct {
	max, running int
	waiting      []func()
}

func newQueue(workers int) *queue {
	return &queue{lanes: [2]lane{{max: workers}, {max: readWorkers}}}
}

// add reports false when the queue is full.
func (q *queue) add(readOnly bool, run func()) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	l := &q.lanes[0]
	if readOnly {
		l = &q.lanes[1]
	}
	if l.running < l.max {
		l.running++
		q.wg.Go(func() { q.work(l, run) })
		return true
	}
	if q.waiting >= maxWaiting {
		return false
	}
	q.waiting++
	l.waiting = append(l.waiting, run)
	return true
}

// now runs what takes no time where it is called, and needs no worker. It
// reports false when the peel is being stopped.
func (q *queue) now(_ bool, run func()) bool {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return false
	}
	q.wg.Add(1)
	q.mu.Unlock()
	defer q.wg.Done()
	run()
	return true
}

// work runs one job after the other until none waits.
func (q *queue) work(l *lane, run func()) {
	for run != nil {
		run()
		run = q.next(l)
	}
}

func (q *queue) next(l *lane) func() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(l.waiting) == 0 {
		l.running--
		l.waiting = nil
		return nil
	}
	run := l.waiting[0]
	l.waiting[0] = nil
	l.waiting = l.waiting[1:]
	q.waiting--
	return run
}

// close takes no more jobs; those that wait are run still.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

func (q *queue) wait() { q.wg.Wait() }
