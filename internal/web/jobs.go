package web

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

const (
	jobRows        = 100
	defaultTimeout = 10
	maxTimeout     = 3600
)

// runForm is the form to run a job, with what was typed.
type runForm struct {
	Target, Function, Arg string
	Timeout               int
	Fixed                 bool // on the page of a host, which is the target
	Functions             []offered
	Error                 string
}

// offered is a function in the form's list, with the arguments that it takes.
type offered struct{ Name, Usage string }

func (f runForm) filled() runForm {
	for _, known := range schema.All() {
		f.Functions = append(f.Functions, offered{known.Name, known.Usage()})
	}
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
	if f.Function == "" {
		return req, errs.New(errs.Invalid, "the function is empty; choose one of the list, such as test.ping")
	}
	var err error
	if req.Args, err = f.args(); err != nil {
		return req, err
	}
	if err := schema.Check(f.Function, req.Args); err != nil {
		return req, err
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

// args are the function's arguments: the whole text of a command, and else its
// words.
func (f *runForm) args() ([]string, error) {
	if strings.TrimSpace(f.Arg) == "" {
		return nil, nil
	}
	if f.Function == "cmd.run" {
		return []string{f.Arg}, nil
	}
	return words(f.Arg)
}

// words splits a text at spaces; quotes of either kind keep them together.
func words(text string) ([]string, error) {
	var all []string
	var word strings.Builder
	var quote rune
	open := false
	for _, c := range text {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, open = c, true
		case quote == 0 && unicode.IsSpace(c):
			if open {
				all = append(all, word.String())
				word.Reset()
			}
			open = false
		default:
			word.WriteRune(c)
			open = true
		}
	}
	if quote != 0 {
		return nil, errs.New(errs.Invalid, "the argument has a quote %c without its end", quote)
	}
	if open {
		all = append(all, word.String())
	}
	return all, nil
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
