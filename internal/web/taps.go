package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/store"
)

// tapsView is the data of the page of taps.
type tapsView struct {
	tapState
	paging
	Window  windowView
	Alerts  []alert
	Ledgers []store.Ledger
	CanAdd  bool
	Join    *joinView
	Nodes   *nodesView
}

// joinView shows a join command, once.
type joinView struct {
	Title, Text, Command string
	Expires              time.Time
}

const ledgerRows = 30

// cutTaps leaves the taps that follow the parameter "after", a page of them.
// The sums and the alerts are those of all.
func (v *tapsView) cutTaps(r *http.Request) {
	q := r.URL.Query()
	after := q.Get("after")
	if after != "" {
		q.Del("after")
		v.Newest = "?" + q.Encode()
	}
	v.Taps = slices.DeleteFunc(slices.Clone(v.Taps), func(t tapView) bool { return string(t.Name) <= after })
	v.OlderName, v.NewestName = "Next", "First page"
	if len(v.Taps) > pageRows {
		v.Taps = v.Taps[:pageRows]
		q.Set("after", string(v.Taps[pageRows-1].Name))
		v.Older = "?" + q.Encode()
	}
	v.Shown = plural(len(v.Taps), "row", "rows")
}

// Tail names an interface by what tells it from others: of a capture file, of
// which the path is long, the end.
func (tapsView) Tail(name string) string {
	if at := strings.LastIndexByte(name, '/'); at > 0 && at < len(name)-1 {
		return "…" + name[at:]
	}
	return name
}

func (w *Web) taps(rw http.ResponseWriter, r *http.Request) error {
	return w.showTaps(rw, r, http.StatusOK, nil, "")
}

func (w *Web) showTaps(rw http.ResponseWriter, r *http.Request, status int, join *joinView, notice string) error {
	if w.Traffic == nil || w.Taps == nil {
		return off("the node is")
	}
	win, picker, err := w.window(r)
	if err != nil {
		notice = said(err)
	}
	v := tapsView{Window: picker, CanAdd: viewer(r).Admin, Join: join}
	if v.tapState, err = w.tapState(r.Context(), win); err != nil {
		return err
	}
	v.Nodes = w.nodes(r.Context())
	if v.Ledgers, err = w.Traffic.Ledgers(r.Context(), store.LedgerQuery{From: win.From, To: win.To, Limit: ledgerRows}); err != nil {
		return fmt.Errorf("listing the ledgers: %w", err)
	}
	v.Alerts = v.alerts(w.Now())
	if len(v.Alerts) == 0 && len(v.Taps) > 0 {
		v.Alerts = []alert{{Level: "well", Word: "All well", Text: "every tap reports, and no packet was lost in this time range"}}
	}
	v.cutTaps(r)
	s := w.sheet(r, "Taps", "/taps")
	s.Notice = notice
	follow(&s, []string{topicNetwork}, "alerts", "taps", "gaps", "ledger")
	s.Data = v
	return w.pages.Render(rw, r, status, "taps", s)
}

func (w *Web) addTap(rw http.ResponseWriter, r *http.Request) error {
	if w.Taps == nil {
		return off("the node is")
	}
	name, tenant := strings.TrimSpace(r.PostForm.Get("name")), strings.TrimSpace(r.PostForm.Get("tenant"))
	token, err := w.Taps.AddTapOf(r.Context(), tenant, name, 0)
	w.audit(r, "tap.add", name, tenant, err)
	if err != nil {
		if kind, _ := access.Describe(err); kind == errs.Internal {
			return fmt.Errorf("adding the tap: %w", err)
		}
		return w.showTaps(rw, r, access.Status(errs.KindOf(err)), nil, said(err))
	}
	return w.showTaps(rw, r, http.StatusOK, &joinView{
		Title: "The tap " + name + " is made.", Text: "Run this on the machine that sees the traffic:",
		Command: w.join(r, "rind-tap join", token),
	}, "")
}

// changeTap gives a tap a new token, or revokes it.
func (w *Web) changeTap(rw http.ResponseWriter, r *http.Request) error {
	if w.Taps == nil {
		return off("the node is")
	}
	name := r.PathValue("name")
	var token string
	var err error
	verb := r.PostForm.Get("do")
	switch verb {
	case "rotate":
		token, err = w.Taps.RotateTap(r.Context(), name, 0)
	case "revoke":
		err = w.Taps.RevokeTap(r.Context(), name)
	default:
		return w.showTaps(rw, r, http.StatusBadRequest, nil, "A tap's token is rotated or revoked.")
	}
	w.audit(r, "tap."+verb, name, "", err)
	switch {
	case err != nil:
		if kind, _ := access.Describe(err); kind == errs.Internal {
			return fmt.Errorf("changing the tap: %w", err)
		}
		return w.showTaps(rw, r, access.Status(errs.KindOf(err)), nil, said(err))
	case verb == "revoke":
		http.Redirect(rw, r, "/taps", http.StatusSeeOther)
		return nil
	}
	return w.showTaps(rw, r, http.StatusOK, &joinView{
		Title: "The tap " + name + " has a new token; the old one is refused from now on.", Text: "Run this on its machine:",
		Command: w.join(r, "rind-tap join", token),
	}, "")
}

// join is the command to type on the machine that joins.
func (w *Web) join(r *http.Request, command, token string) string {
	url := "https://" + r.Host
	if w.PublicURL != nil {
		url = w.PublicURL(r)
	}
	return command + " --server " + url + " --pin " + w.Pin + " --token " + token
}
