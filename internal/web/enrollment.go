package web

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/fleet/enroll/registrar"
)

// enrollmentView is the data of the page of enrollments.
type enrollmentView struct {
	Sum, DecidedSum  string
	Pending, Decided []enroll.Record
	Admin            bool
	Join             *joinView
}

const decidedRows = 200

func (w *Web) enrollment(rw http.ResponseWriter, r *http.Request) error {
	return w.showEnrollment(rw, r, http.StatusOK, nil, "")
}

func (w *Web) showEnrollment(rw http.ResponseWriter, r *http.Request, status int, join *joinView, notice string) error {
	if w.Enroll == nil {
		return off("the master is")
	}
	all, err := w.Enroll.List(r.Context(), "")
	if err != nil {
		return fmt.Errorf("listing the enrollments: %w", err)
	}
	v := enrollmentView{Admin: viewer(r).Admin, Join: join}
	for _, rec := range all {
		if rec.State == enroll.Pending {
			v.Pending = append(v.Pending, rec)
		} else {
			v.Decided = append(v.Decided, rec)
		}
	}
	slices.SortFunc(v.Pending, func(a, b enroll.Record) int { return a.Created.Compare(b.Created) })
	slices.SortFunc(v.Decided, func(a, b enroll.Record) int { return b.Decided.Compare(a.Decided) })
	v.Sum = plural(len(v.Pending), "host waits", "hosts wait") + " for a decision"
	v.DecidedSum = plural(len(v.Decided), "host", "hosts")
	if len(v.Decided) > decidedRows {
		v.DecidedSum = fmt.Sprintf("the newest %d of %s; see all with rind enroll list", decidedRows, v.DecidedSum)
		v.Decided = v.Decided[:decidedRows]
	}
	s := w.sheet(r, "Enrollment", "/enrollment")
	s.Notice = notice
	follow(&s, []string{topicPeels}, "pending", "decided")
	s.Data = v
	return w.pages.Render(rw, r, status, "enrollment", s)
}

var tokenLives = map[string]time.Duration{"15m": 15 * time.Minute, "1h": time.Hour, "24h": 24 * time.Hour}

func (w *Web) createToken(rw http.ResponseWriter, r *http.Request) error {
	if w.Enroll == nil {
		return off("the master is")
	}
	ttl, ok := tokenLives[r.PostForm.Get("ttl")]
	if !ok {
		return errs.New(errs.Invalid, "a token works for 15m, 1h or 24h")
	}
	p, _ := access.PrincipalFrom(r.Context())
	req := registrar.TokenRequest{TTL: ttl, AutoApprove: r.PostForm.Get("auto") != "", By: p.Name}
	t, err := w.Enroll.CreateToken(r.Context(), req)
	w.audit(r, "enroll.token", "", fmt.Sprintf("ttl %s auto-approve %t", ttl, req.AutoApprove), err)
	if err != nil {
		return fmt.Errorf("making a token: %w", err)
	}
	return w.showEnrollment(rw, r, http.StatusOK, &joinView{
		Title: "The token is made.", Text: "Run this on the host, as root:",
		Command: w.join(r, "rind-peel enroll", t.Secret), Expires: t.Expires,
	}, "")
}

// decide approves, replaces, rejects or revokes. The form carries the key that
// the page showed: when another key has asked for the id meanwhile, nothing
// is decided.
func (w *Web) decide(rw http.ResponseWriter, r *http.Request) error {
	if w.Enroll == nil {
		return off("the master is")
	}
	id, err := fleet.ParsePeelID(r.PathValue("id"))
	if err != nil {
		return errs.New(errs.NotFound, "there is no such enrollment: %w", err)
	}
	verb := r.PostForm.Get("do")
	err = w.decideOn(r, id, verb)
	w.audit(r, "enroll."+verbName(verb), string(id), "", err)
	if err != nil {
		if kind, _ := access.Describe(err); kind == errs.Internal {
			return fmt.Errorf("deciding on an enrollment: %w", err)
		}
		return w.showEnrollment(rw, r, access.Status(errs.KindOf(err)), nil, said(err))
	}
	http.Redirect(rw, r, "/enrollment", http.StatusSeeOther)
	return nil
}

func verbName(verb string) string {
	if verb == "replace" {
		return "approve"
	}
	return verb
}

func (w *Web) decideOn(r *http.Request, id fleet.PeelID, verb string) error {
	ctx := r.Context()
	p, _ := access.PrincipalFrom(ctx)
	rec, err := w.Enroll.Show(ctx, id)
	if err != nil {
		return err
	}
	if rec.Next != nil && verb != "revoke" {
		rec = *rec.Next // who waits to replace is whom the decision is about
	}
	if rec.PublicKey != r.PostForm.Get("key") {
		return errs.New(errs.Conflict, "another key has asked for the id %s since the page was loaded; compare its fingerprint and decide again", id)
	}
	switch verb {
	case "approve", "replace":
		return w.Enroll.Approve(ctx, id, p.Name, verb == "replace")
	case "reject":
		return w.Enroll.Reject(ctx, id, p.Name)
	case "revoke":
		return w.Enroll.Revoke(ctx, id, p.Name)
	}
	return errs.New(errs.Invalid, "a decision is approve, replace, reject or revoke")
}
