package ingest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report"
)

// put lets a report of so many rows wait, or reports that there is no room.
func put(t *testing.T, q *queue, tap network.TapID, rows, bytes int) bool {
	t.Helper()
	ticket := q.admit(tap)
	if ticket == nil {
		return false
	}
	if err := ticket.grow(bytes - ticketBytes); err != nil {
		ticket.release()
		return false
	}
	it := &item{Received: report.Received{Report: &network.Report{Identity: network.Identity{Tap: tap}}}, ctx: context.Background(), rows: rows, ticket: ticket, done: make(chan outcome, 1)}
	q.push(it, 1)
	return true
}

func drain(group []*item) {
	for _, it := range group {
		it.ticket.release()
	}
}

// TestFairTurns lets one tap have a hundred times more waiting than each of
// ten others: theirs are in the first transactions, whatever order they came in.
func TestFairTurns(t *testing.T) {
	t.Parallel()
	q := newQueue(1<<30, 1<<20)
	for range 1000 {
		put(t, q, "greedy", 150, 1<<15)
	}
	for i := range 10 {
		for range 10 {
			put(t, q, network.TapID(fmt.Sprintf("t%d", i)), 150, 1<<15)
		}
	}
	seen := map[network.TapID]int{}
	groups, before := 0, 0
	for {
		group := q.take(5000, 256)
		if len(group) == 0 {
			break
		}
		rows := 0
		for _, it := range group {
			seen[it.Tap]++
			rows += it.rows
		}
		if rows > 5000+150 || rows < 5000 && q.waiting > 0 {
			t.Errorf("a group has %d rows", rows)
		}
		if groups++; groups == 4 { // 136 reports: those of the ten are 100 of them at most
			before = len(seen)
			for i := range 10 {
				if n := seen[network.TapID(fmt.Sprintf("t%d", i))]; n != 10 {
					t.Errorf("of tap t%d %d reports are in the first four groups, want all 10", i, n)
				}
			}
		}
		drain(group)
	}
	if before != 11 || seen["greedy"] != 1000 {
		t.Errorf("the greedy one has had no turn: %v", seen)
	}
	if l := q.load(); l.Bytes != 0 || l.Requests != 0 || l.Reports != 0 || len(q.lanes) != 0 || !q.idle() {
		t.Errorf("when all is gone there is %+v in %d lanes", l, len(q.lanes))
	}
}

// TestLargeReportWaitsForItsTurns shows that a tap of large reports does not
// have more rows than others in the long run, and that a report larger than a
// group is taken alone.
func TestLargeReportWaitsForItsTurns(t *testing.T) {
	t.Parallel()
	q := newQueue(1<<30, 1<<20)
	for range 3 {
		put(t, q, "large", 50_000, 1<<20)
	}
	for range 300 {
		put(t, q, "small", 500, 1<<15)
	}
	large, small := 0, 0
	for {
		group := q.take(5000, 256)
		if len(group) == 0 {
			break
		}
		for _, it := range group {
			if it.Tap == "large" {
				if len(group) > 1 {
					t.Errorf("a report of 50,000 rows shares its transaction with %d others", len(group)-1)
				}
				large += it.rows
			} else {
				small += it.rows
			}
		}
		if small < 150_000 && large > small+50_000 {
			t.Errorf("%d rows of the large ones went before %d of the small ones", large, small)
		}
		drain(group)
	}
	if large != 150_000 || small != 150_000 {
		t.Errorf("%d and %d rows", large, small)
	}
}

// TestRoom fills the queue: one tap has half of it at most, another one still
// finds room, and nothing is ever over the bound.
func TestRoom(t *testing.T) {
	t.Parallel()
	const limit = 64 << 20
	q := newQueue(limit, 10_000)
	greedy := 0
	for put(t, q, "greedy", 100, 1<<20) {
		greedy++
	}
	if greedy < 30 || greedy > 33 {
		t.Errorf("one tap has %d MiB of 64", greedy)
	}
	others := 0
	for i := 0; put(t, q, network.TapID(fmt.Sprintf("t%d", i)), 100, 1<<20); i++ {
		if others++; q.used > limit {
			t.Fatalf("%d bytes are used", q.used)
		}
	}
	if others < 30 {
		t.Errorf("%d others found room", others)
	}
	ticket := newQueue(limit, 1).admit("alone")
	if err := ticket.grow(limit); errs.KindOf(err) != errs.TooLarge {
		t.Errorf("a report larger than the queue: %v, it would never find room", err)
	}
	if err := ticket.grow(limit / 2); err != nil {
		t.Errorf("half of the queue for the only report: %v", err)
	}
}

// TestRoomIsThatOfTheRate shows that a tap of many reports has half of what the
// database takes in time, and no more, so that there is room for another.
func TestRoomIsThatOfTheRate(t *testing.T) {
	t.Parallel()
	q := newQueue(1<<30, 10_000)
	put(t, q, "first", 100, 1<<20)
	q.drained(4<<20, time.Second) // 100 MiB in 25 s
	n := 0
	for put(t, q, "greedy", 100, 1<<20) {
		n++
	}
	if n < 40 || n > 52 {
		t.Errorf("one tap has %d MiB of 100", n)
	}
	if !put(t, q, "late", 100, 8<<20) {
		t.Error("another one finds no room")
	}
	q = newQueue(1<<30, 10_000)
	var all []*ticket
	for range 100 { // that begin at once, and grow then
		all = append(all, q.admit("greedy"))
	}
	q.rate = 1
	grown := 0
	for _, t := range all {
		if t.grow(1<<20) == nil {
			grown++
		}
	}
	if grown > 8 || q.admit("late") == nil {
		t.Errorf("%d of 100 reports that began together have grown to 1 MiB", grown)
	}
}

// TestRequestsAreBounded shows that one tap cannot hold all requests.
func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	q := newQueue(1<<30, 100)
	n := 0
	for q.admit("trickler") != nil {
		n++
	}
	if n < 49 || n > 51 {
		t.Errorf("one tap holds %d requests of 100", n)
	}
	for i := range 100 - n {
		if q.admit(network.TapID(fmt.Sprintf("t%d", i))) == nil {
			t.Fatalf("request %d of others is refused", i)
		}
	}
	if q.admit("late") != nil {
		t.Error("request 101 is taken")
	}
}

// TestRetryAfter shows that the time is that of the measured rate.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	q := newQueue(64<<20, 1000)
	put(t, q, "first", 100, 1<<15)
	drain(q.take(1, 1))
	if d := q.retryAfter(); d != 2*time.Second {
		t.Errorf("with nothing measured: %s", d)
	}
	for i := range 40 {
		put(t, q, network.TapID(fmt.Sprintf("t%d", i)), 100, 1<<20)
	}
	for range 100 { // one writer commits 4 MiB/s
		q.drained(4<<20, time.Second)
	}
	if d := q.retryAfter(); d < 10*time.Second || d > 12*time.Second {
		t.Errorf("40 MiB at 4 MiB/s: %s", d)
	}
	q.waiting = 0
	q.drained(1<<20, 10*time.Second) // nothing waited behind a small group
	q.waiting = 40
	if d := q.retryAfter(); d > 12*time.Second {
		t.Errorf("after a small group: %s", d)
	}
	for range 100 { // the database stands
		q.drained(0, 20*time.Second)
	}
	if d := q.retryAfter(); d != 61*time.Second {
		t.Errorf("a database that stands: %s", d)
	}
	if q.used <= minRoom {
		t.Fatalf("%d bytes wait", q.used)
	}
	if q.admit("late") != nil {
		t.Error("40 MiB wait for a database that stands, and more are taken")
	}
	for group := q.take(1, 1); len(group) > 0; group = q.take(1, 1) {
		drain(group)
	}
	if q.admit("late") == nil {
		t.Error("nothing is there, and nothing is taken")
	}
}
