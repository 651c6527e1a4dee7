package ingest

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/record"
	"github.com/rind-project/rind/internal/network/report"
)

// Commit writes a report, unless a report with its identity is there already.
// It returns after the commit.
func (s *Service) Commit(ctx context.Context, r *network.Report) (fresh bool, err error) {
	t := s.queue.admit(r.Tap)
	if t == nil {
		return false, s.behind()
	}
	defer t.release()
	out := s.await(ctx, t, report.Received{Report: r}, nil)
	if out.refused != nil {
		return false, out.refused.err
	}
	return out.fresh, nil
}

// await puts a report into the queue and returns when it has been committed,
// or will not be.
func (s *Service) await(ctx context.Context, t *ticket, rep report.Received, token []byte) outcome {
	it := &item{Received: rep, ctx: ctx, token: token, rows: rows(rep.Report), arrived: time.Now(), ticket: t, done: make(chan outcome, 1)}
	if s.queue.push(it, s.cfg.Writers) {
		s.writing.Go(s.write)
	}
	// Also when nobody waits for the answer: the report is in memory until a
	// writer took it, and its room is given back when this returns.
	return <-it.done
}

// rows is how many a report has, and one for itself.
func rows(r *network.Report) int {
	return 1 + len(r.Flows) + len(r.DNS) + len(r.TLS) + len(r.Interfaces) + record.Count(&r.Records)
}

// write commits what waits, group by group, until nothing does. While one
// transaction runs the reports of the next one gather; when nothing runs a
// report does not wait for company.
func (s *Service) write() {
	for {
		group := s.queue.take(s.cfg.GroupRows, s.cfg.GroupReports)
		if len(group) == 0 {
			return
		}
		began, bytes := time.Now(), 0
		wanted := group[:0]
		for _, it := range group {
			if it.ctx.Err() != nil { // its tap has gone, and will try again
				it.done <- outcome{refused: &refusal{http.StatusServiceUnavailable, gone, errs.New(errs.Unavailable, "the tap did not wait for the answer")}}
				continue
			}
			s.metrics.waited.Observe(began.Sub(it.arrived).Seconds())
			wanted = append(wanted, it)
		}
		for _, it := range wanted {
			bytes += it.ticket.bytes
		}
		if len(wanted) == 0 {
			continue
		}
		if !s.commit(wanted) {
			bytes = 0
		}
		s.queue.drained(bytes, time.Since(began))
	}
}

// commit writes a group in one transaction and answers each of its reports. A
// group that fails for what is in it is halved until the bad report stands
// alone. It reports whether the database took anything.
func (s *Service) commit(group []*item) bool {
	ctx, cancel := context.WithTimeout(s.running, s.cfg.CommitTimeout)
	began := time.Now()
	var w *writing
	err := s.db.Tx(ctx, func(tx *database.Tx) error {
		w = &writing{s: s, tx: tx, now: s.now(), group: group}
		return w.run(ctx)
	})
	cancel()
	switch {
	case err == nil:
		s.metrics.took.Observe(time.Since(began).Seconds())
		s.metrics.copied.Observe(w.copied.Seconds())
		s.metrics.groupReports.Observe(float64(len(group)))
		s.settle(w)
		return true
	case len(group) == 1:
		s.failed(group[0], err)
		return false
	case !s.divisible(err):
		for _, it := range group {
			s.failed(it, err)
		}
		return false
	}
	s.metrics.halved.Inc()
	first, second := s.commit(group[:len(group)/2]), s.commit(group[len(group)/2:])
	return first || second
}

// divisible reports whether one report of a group may be why the transaction
// failed. When the database is in trouble, halves would be no better off.
func (s *Service) divisible(err error) bool {
	if database.IsData(err) {
		return true
	}
	if database.Answered(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return false
	}
	ctx, cancel := context.WithTimeout(s.running, 2*time.Second)
	defer cancel()
	return s.db.Ping(ctx) == nil
}

// failed answers a report that was not committed.
func (s *Service) failed(it *item, err error) {
	f := &refusal{http.StatusServiceUnavailable, failed, errs.New(errs.Unavailable, "the database did not take the report: it will be tried again")}
	if database.IsFull(err) {
		f = &refusal{http.StatusServiceUnavailable, full,
			errs.New(errs.Unavailable, "the database's disk is full: make room there, or lower node.retention; the report will be tried again")}
	}
	if database.IsDenied(err) {
		f = &refusal{http.StatusServiceUnavailable, denied,
			errs.New(errs.Unavailable, "the database does not let this node write: give its user all rights on the tables (the node's log says which is missing); the report will be tried again")}
	}
	if database.IsData(err) {
		f = &refusal{http.StatusUnprocessableEntity, unstorable,
			errs.New(errs.Invalid, "the database cannot hold what is in the report: it is refused for good; the node's log says what it is")}
	}
	s.log.Error("a report could not be committed", "tap", it.Tap, "boot", it.Boot, "sequence", it.Sequence, "error", err)
	it.done <- outcome{refused: f}
}

// settle counts and answers the reports of a transaction that was committed.
func (s *Service) settle(w *writing) {
	total := 0
	for i, it := range w.group {
		out := w.outcomes[i]
		if out.fresh {
			total += it.rows
			s.metrics.bytes.Add(float64(it.Wire))
			s.metrics.lag.Observe(w.now.Sub(it.End).Seconds())
			s.metrics.count(it.Received)
			s.audit(it.Report)
		}
		it.done <- out
	}
	s.metrics.groupRows.Observe(float64(total))
	for _, tap := range w.shared {
		s.metrics.shared.Inc()
		s.log.Warn("two machines report with the token of one tap: `rind tap add` gives each its own", "tap", tap.name, "boots", []string{tap.before, tap.boot})
	}
	for _, tap := range w.stale {
		s.tokens.forget(tap)
	}
}

// audit tells of ledgers that do not add up. They are kept as they are: what
// the tap saw is worth more than its mistake.
func (s *Service) audit(rep *network.Report) {
	for _, l := range rep.Interfaces {
		if !l.Balanced() {
			s.metrics.wrong.Inc()
			s.log.Warn("a ledger does not add up: this is a defect of the tap", "tap", rep.Tap, "sequence", rep.Sequence, "ledger", l)
		}
	}
}
