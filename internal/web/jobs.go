package web

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
)

const (
	jobRows        = 100
	defaultTimeout = 10
	maxTimeout     = 3600
)

// functions are what the form offers; the master knows which exist.
var functions = []string{"test.ping", "cmd.run", "facts.items", "facts.get"}

// takesArgument says which functions need the form's argument.
var takesArgument = map[string]bool{"cmd.run": true, "facts.get": true}

// runForm is the form to run a job, with what was typed.
type runForm struct {
	Target, Function, Arg string
	Timeout               int
	Fixed                 bool // on the page of a host, which is the target
	Functions             []string
	Error                 string
}

func (f runForm) filled() runForm {
	f.Functions = functions
	if f.Function == "" {
		f.Function = "cmd.run"
	}
	if f.Timeout == 0 {
		f.Timeout = defaultTimeout
	}
	return f
}

// jobsView is the data of the page of jobs.
type jobsView struct {
	Jobs   []fleet.Job
	Full   bool
	CanRun bool
	Form   runForm
}

func (w *Web) jobs(rw http.ResponseWriter, r *http.Request) error {
	return w.showJobs(rw, r, http.StatusOK, runForm{Target: r.URL.Query().Get("target")})
}

func (w *Web) showJobs(rw http.ResponseWriter, r *http.Request, status int, f runForm) error {
	if w.Fleet == nil {
		return off("the master is")
	}
	jobs, err := w.Fleet.Jobs(r.Context(), jobRows)
	if err != nil {
		return fmt.Errorf("listing the jobs: %w", err)
	}
	s := w.sheet(r, "Jobs", "/jobs")
	follow(&s, []string{topicPeels}, "jobs")
	s.Data = jobsView{Jobs: jobs, Full: len(jobs) == jobRows, CanRun: viewer(r).Operator, Form: f.filled()}
	return w.pages.Render(rw, r, status, "jobs", s)
}

// run starts a job and leads to its page. What was wrong stands beside the
// form again.
func (w *Web) run(rw http.ResponseWriter, r *http.Request) error {
	if w.Fleet == nil {
		return off("the master is")
	}
	f := runForm{Target: strings.TrimSpace(r.PostForm.Get("target")), Function: r.PostForm.Get("function"), Arg: r.PostForm.Get("arg")}
	req, err := f.request(r)
	if err == nil {
		var j fleet.Job
		j, err = w.Fleet.Run(r.Context(), req)
		w.audit(r, "job.run", j.JID, fmt.Sprintf("target %q function %s %q", f.Target, f.Function, req.Args), err)
		if err == nil {
			http.Redirect(rw, r, "/jobs/"+j.JID, http.StatusSeeOther)
			return nil
		}
	}
	if kind, _ := access.Describe(err); kind == errs.Internal {
		return fmt.Errorf("running a job: %w", err)
	}
	f.Error = said(err)
	if id, bad := fleet.ParsePeelID(f.Target); r.PostForm.Get("from_host") != "" && bad == nil {
		return w.showHost(rw, r, access.Status(errs.KindOf(err)), id, f)
	}
	return w.showJobs(rw, r, access.Status(errs.KindOf(err)), f)
}

func (f *runForm) request(r *http.Request) (fleet.JobRequest, error) {
	p, _ := access.PrincipalFrom(r.Context())
	req := fleet.JobRequest{Target: f.Target, Function: f.Function, By: p.Name}
	if f.Target == "" {
		return req, errs.New(errs.Invalid, "the target is empty; name a host, or * for all")
	}
	if !slices.Contains(functions, f.Function) {
		return req, errs.New(errs.Invalid, "choose one of the functions %s", strings.Join(functions, ", "))
	}
	if takesArgument[f.Function] {
		if strings.TrimSpace(f.Arg) == "" {
			return req, errs.New(errs.Invalid, "%s needs an argument", f.Function)
		}
		req.Args = []string{f.Arg}
	}
	if text := r.PostForm.Get("timeout"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxTimeout {
			return req, errs.New(errs.Invalid, "the wait is from 1 to %d seconds", maxTimeout)
		}
		f.Timeout = n
		req.Timeout = time.Duration(n) * time.Second
	}
	return req, nil
}

// audit writes what a person did on a page; that it cannot is logged.
func (w *Web) audit(r *http.Request, action, object, detail string, failed error) {
	p, _ := access.PrincipalFrom(r.Context())
	e := access.Entry{By: p.Name, Via: p.Via, Action: action, Object: object, Detail: detail, Addr: access.ClientAddr(r), OK: failed == nil}
	if failed != nil {
		_, message := access.Describe(failed)
		e.Detail += ": " + message
	}
	if err := w.Access.Audit(r.Context(), e); err != nil {
		w.Log.Error("writing the audit trail failed", "action", action, "object", object, "error", err)
	}
}
