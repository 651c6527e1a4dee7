package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/master"
	"github.com/rind-project/rind/internal/web/live"
)

// returnRows bounds the returns that a page of a job shows.
const returnRows = 1000

// jobView is the data of the page of a job.
type jobView struct {
	Job     fleet.Job
	Rows    []returnRow
	Running bool
	Cut     bool
	Verbs   []string // what the one who looks may do to it now
	Error   string
}

// verbs are what can be done to a job as it is.
func verbs(j fleet.Job) []string {
	switch {
	case j.State == fleet.JobPaused:
		return []string{master.Resume, master.Cancel}
	case j.State == fleet.JobRunning && j.Summary.Unsent > 0:
		return []string{master.Pause, master.Cancel}
	case !j.State.Ended():
		return []string{master.Cancel}
	case j.Summary.Failed > 0 || j.Summary.Missing > 0:
		return []string{retry}
	}
	return nil
}

// retry is the verb that makes a new job.
const retry = "retry"

// control does something to a job, and leads back to its page, or to that of
// the new one.
func (w *Web) control(rw http.ResponseWriter, r *http.Request) error {
	if w.Fleet == nil {
		return off("the master is")
	}
	jid, err := jobID(r)
	if err != nil {
		return err
	}
	p, _ := access.PrincipalFrom(r.Context())
	action := r.PostForm.Get("action")
	var j fleet.Job
	switch action {
	case master.Cancel, master.Pause, master.Resume:
		j, err = w.Fleet.Control(r.Context(), jid, action, p.Name)
	case retry:
		j, err = w.Fleet.Retry(r.Context(), jid, p.Name)
	default:
		return errs.New(errs.Invalid, "choose what to do to the job with one of its buttons")
	}
	w.audit(r, "job."+action, jid, j.Reason, err)
	if err == nil {
		http.Redirect(rw, r, "/jobs/"+j.JID, http.StatusSeeOther)
		return nil
	}
	kind, _ := access.Describe(err)
	if kind == errs.Internal || kind == errs.NotFound {
		return fmt.Errorf("%s of a job: %w", action, err)
	}
	return w.showJob(rw, r, access.Status(kind), jid, said(err))
}

func jobID(r *http.Request) (string, error) {
	jid := r.PathValue("jid")
	if err := uuid.Validate(jid); err != nil {
		return "", errs.New(errs.NotFound, "there is no such job; a job's id looks like 0190a8c2-7b4e-7f3a-9c1d-0123456789ab")
	}
	return jid, nil
}

func (w *Web) job(rw http.ResponseWriter, r *http.Request) error {
	if w.Fleet == nil {
		return off("the master is")
	}
	jid, err := jobID(r)
	if err != nil {
		return err
	}
	return w.showJob(rw, r, http.StatusOK, jid, "")
}

func (w *Web) showJob(rw http.ResponseWriter, r *http.Request, status int, jid, failure string) error {
	j, returns, err := w.Fleet.Job(r.Context(), jid)
	if err != nil {
		return fmt.Errorf("reading the job: %w", err)
	}
	v := jobView{Job: j, Running: !j.State.Ended(), Error: failure}
	if viewer(r).Operator {
		v.Verbs = verbs(j)
	}
	// Failed ones first, then in the order in which they arrived.
	slices.SortStableFunc(returns, func(a, b fleet.Return) int {
		switch {
		case a.OK == b.OK:
			return a.Finished.Compare(b.Finished)
		case b.OK:
			return -1
		}
		return 1
	})
	if len(returns) > returnRows {
		returns, v.Cut = returns[:returnRows], true
	}
	for _, ret := range returns {
		v.Rows = append(v.Rows, newReturnRow(ret))
	}
	s := w.sheet(r, j.Function+" on "+j.Target, "/jobs")
	if v.Running {
		s.Events = "/events/jobs/" + jid
	}
	s.Data = v
	return w.pages.Render(rw, r, status, "job", s)
}

// returnsEvery is how often at most new returns are sent.
const returnsEvery = 300 * time.Millisecond

// jobEvents sends a job's returns: those so far replace what the page has, so
// that a connection made again does not double them, then each batch as it
// arrives, with the summary, and "close" at the end.
func (w *Web) jobEvents(rw http.ResponseWriter, r *http.Request) error {
	if w.Fleet == nil {
		return off("the master is")
	}
	jid, err := jobID(r)
	if err != nil {
		return err
	}
	if _, _, err := w.Fleet.Job(r.Context(), jid); err != nil {
		return fmt.Errorf("reading the job: %w", err)
	}
	s, err := w.hub.Open(rw, r)
	if err != nil {
		return err
	}
	defer s.Close()
	events, err := w.Fleet.Watch(s.Context(), jid)
	if err != nil {
		w.Log.Warn("watching a job failed", "jid", jid, "error", err)
		return nil
	}
	f := feed{web: w, stream: s, jid: jid, first: true}
	if err := f.run(s.Context(), events); err != nil && s.Context().Err() == nil {
		w.Log.Debug("a live connection ended", "jid", jid, "error", err)
	}
	return nil
}

// feed carries the returns of one job to one browser.
type feed struct {
	web    *Web
	stream *live.Stream
	jid    string
	first  bool // nothing was sent yet
	rows   []returnRow
	sent   int
}

func (f *feed) run(ctx context.Context, events <-chan fleet.JobEvent) error {
	tick := time.NewTicker(returnsEvery)
	defer tick.Stop()
	for {
		select {
		case e, ok := <-events:
			switch {
			case !ok:
				return nil // without an end: the browser connects again
			case e.Done != nil:
				return f.end(*e.Done)
			case e.Step != nil:
				if err := f.sendSummary(*e.Step); err != nil {
					return err
				}
			case e.Return != nil && f.sent+len(f.rows) < returnRows:
				f.rows = append(f.rows, newReturnRow(*e.Return))
			}
		case <-tick.C:
			if err := f.flush(ctx); err != nil {
				return err
			}
		case <-f.stream.Beat():
			if err := f.stream.Idle(); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// flush sends the rows that wait, and the summary as it is now.
func (f *feed) flush(ctx context.Context) error {
	if len(f.rows) == 0 && !f.first {
		return nil
	}
	if err := f.sendRows(); err != nil {
		return err
	}
	j, err := f.web.Fleet.Glance(ctx, f.jid)
	if err != nil {
		return err
	}
	return f.sendSummary(j)
}

func (f *feed) sendRows() error {
	event := "later"
	if f.first {
		event = "returns"
	}
	html, err := f.web.pages.Fragment("job", "return-rows", f.rows)
	if err != nil {
		return err
	}
	if f.first {
		// What a connection before this one appended stands in "returns" now.
		html += `<template><tbody hx-swap-oob="innerHTML:#later"></tbody></template>`
	}
	f.first = false
	f.sent += len(f.rows)
	f.rows = nil
	return f.stream.Send(event, html)
}

func (f *feed) sendSummary(j fleet.Job) error {
	html, err := f.web.pages.Fragment("job", "job-summary", j)
	if err != nil {
		return err
	}
	return f.stream.Send("summary", html)
}

// end sends what waits, the last summary, and that it is the last.
func (f *feed) end(done fleet.Job) error {
	if len(f.rows) > 0 || f.first {
		if err := f.sendRows(); err != nil {
			return err
		}
	}
	if err := f.sendSummary(done); err != nil {
		return err
	}
	return f.stream.Send("close", "done")
}
