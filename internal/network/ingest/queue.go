package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report"
)

// queue holds the reports that are on their way to the database, and bounds
// the memory that they take from the first byte of a body to the commit.
//
// Room is shared by dynamic thresholds (Choudhury and Hahne, 1998): who has
// something here already may have no more than what is still free. So one tap
// that sends without end takes half of the room at most, and there is always
// some for another. What waits is taken in turns by deficit round robin
// (Shreedhar and Varghese, 1995), counted in rows.
type queue struct {
	bytes    int // that all reports may take
	requests int // that may be under way

	mu      sync.Mutex
	lanes   map[network.TapID]*lane // of taps that have something here
	turn    []*lane                 // those with reports that wait; the first is next
	used    int
	tickets int
	waiting int
	writers int     // that run
	rate    float64 // bytes that leave per second; 0 is unknown
}

// lane is what one tap has here.
type lane struct {
	tap     network.TapID
	used    int
	tickets int
	waiting []*item
	credit  int // rows that it may take this turn
}

// ticket is the room of one report.
type ticket struct {
	queue *queue
	lane  *lane
	bytes int
}

// item is a report that waits for its commit.
type item struct {
	report.Received
	ctx     context.Context // of who waits for the answer
	token   []byte          // hash of the token that was shown; nil is not looked at
	rows    int
	arrived time.Time
	ticket  *ticket
	done    chan outcome // has room for the one that comes
}

// outcome is how it went with a report.
type outcome struct {
	fresh   bool
	refused *refusal
}

const (
	// A report waits so long at most when the database goes on as it does, so
	// that it is answered before the tap gives up.
	maxWait = 25 * time.Second
	// The room when the database is slow or stands.
	minRoom = 16 << 20
	// Rows by which a tap's credit grows when it is its turn.
	quantum = 500
	// Bytes that a report is taken to need before anything of it was read.
	ticketBytes = 16 << 10
)

func newQueue(bytes, requests int) *queue {
	return &queue{bytes: bytes, requests: requests, lanes: map[network.TapID]*lane{}}
}

// admit gives a report of a tap a ticket, or nil when there is no room.
func (q *queue) admit(tap network.TapID) *ticket {
	q.mu.Lock()
	defer q.mu.Unlock()
	room, l := q.room(), q.lanes[tap]
	if q.tickets >= q.requests || q.used+ticketBytes > room ||
		l != nil && (l.used >= room-q.used || l.tickets >= q.requests-q.tickets) {
		return nil
	}
	if l == nil {
		l = &lane{tap: tap}
		q.lanes[tap] = l
	}
	t := &ticket{queue: q, lane: l}
	q.tickets++
	l.tickets++
	t.add(ticketBytes)
	return t
}

// room is what all reports together may take when they are to be committed in
// time.
func (q *queue) room() int {
	if q.rate <= 0 {
		return q.bytes
	}
	return min(q.bytes, max(minRoom, int(q.rate*maxWait.Seconds())))
}

// errFull says that there is no room for the rest of a report.
var errFull = errs.New(errs.RateLimited, "this node is behind and has no room for the report")

// grow takes room as the report grows.
func (t *ticket) grow(n int) error {
	q := t.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.bytes+n > q.bytes {
		return errs.New(errs.TooLarge, "the report takes more than the %d bytes that this node has for all (node.ingest.queue_bytes)", q.bytes)
	}
	if q.used+n > q.bytes || t.lane.tickets > 1 && t.lane.used+n > q.room()-q.used {
		return errFull
	}
	t.add(n)
	return nil
}

// settle sets what the report takes now that it is decoded.
func (t *ticket) settle(bytes int) {
	t.queue.mu.Lock()
	defer t.queue.mu.Unlock()
	t.add(max(bytes, ticketBytes) - t.bytes)
}

// add is called with the queue's lock.
func (t *ticket) add(n int) {
	t.bytes += n
	t.lane.used += n
	t.queue.used += n
}

// release gives the room back.
func (t *ticket) release() {
	q := t.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	t.add(-t.bytes)
	q.tickets--
	if t.lane.tickets--; t.lane.tickets == 0 {
		delete(q.lanes, t.lane.tap)
	}
}

// push lets a report wait, and reports whether a writer must be started: there
// are so many at most.
func (q *queue) push(it *item, writers int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := it.ticket.lane
	if len(l.waiting) == 0 {
		q.turn = append(q.turn, l)
	}
	l.waiting = append(l.waiting, it)
	q.waiting++
	if q.writers >= writers {
		return false
	}
	q.writers++
	return true
}

// take returns the reports of the next transaction: about so many rows, in so
// many reports at most. When nothing waits it returns nothing, and the writer
// that called ends.
func (q *queue) take(rows, reports int) []*item {
	q.mu.Lock()
	defer q.mu.Unlock()
	var group []*item
	for n := 0; len(q.turn) > 0 && len(group) < reports && n < rows; {
		l := q.turn[0]
		next := l.waiting[0]
		if l.credit < next.rows && len(q.turn) > 1 {
			l.credit += quantum
			q.turn = append(q.turn[1:], l)
			continue
		}
		if len(group) > 0 && n+next.rows > 2*rows {
			break
		}
		n += next.rows
		group = append(group, next)
		q.waiting--
		l.credit = max(0, l.credit-next.rows)
		if l.waiting = l.waiting[1:]; len(l.waiting) == 0 {
			l.credit, l.waiting = 0, nil
			q.turn = q.turn[1:]
		}
	}
	if len(group) == 0 {
		q.writers--
	}
	return group
}

// drained notes that so many bytes left in a time, or that none did. A group
// behind which nothing waited could have been larger: it says only that the
// database takes as much, not that it takes no more.
func (q *queue) drained(bytes int, took time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := float64(bytes*q.writers) / max(took.Seconds(), 1e-6)
	switch idle := bytes > 0 && q.waiting == 0; {
	case idle && now <= q.rate, idle && q.rate == 0:
	case q.rate == 0:
		q.rate = now
	default:
		q.rate += (now - q.rate) / 8
	}
}

// retryAfter is when there will be room: as long as what is here takes at the
// rate at which it leaves.
func (q *queue) retryAfter() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.rate <= 0 {
		return 2 * time.Second
	}
	after := time.Duration(min(float64(q.used)/q.rate, 60) * float64(time.Second))
	return max(after.Truncate(time.Second)+time.Second, time.Second)
}

// Load is how much a node's ingest has to do.
type Load struct {
	Bytes    int     `json:"queue_bytes"`      // of memory, of reports on their way
	Limit    int     `json:"queue_limit"`      // that they may take
	Reports  int     `json:"queue_reports"`    // that wait for the database
	Requests int     `json:"requests"`         // under way
	Rate     float64 `json:"bytes_per_second"` // at which reports leave; 0 is unknown
}

func (q *queue) load() Load {
	q.mu.Lock()
	defer q.mu.Unlock()
	return Load{Bytes: q.used, Limit: q.bytes, Reports: q.waiting, Requests: q.tickets, Rate: q.rate}
}

// idle reports whether nothing is under way.
func (q *queue) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.tickets == 0 && q.writers == 0
}
