package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/master"
	"github.com/rind-project/rind/internal/web/page"
	"github.com/rind-project/rind/internal/web/ui"
)

const (
	peelsAtOnce = 10_000  // of one question to the master
	maxPeels    = 200_000 // that a page reads
	hostRows    = 200     // of a page of hosts
)

// everyPeel reads all peels that match, page by page.
func (w *Web) everyPeel(ctx context.Context, match string) ([]fleet.Peel, error) {
	var all []fleet.Peel
	q := master.PeelQuery{Match: match, Limit: peelsAtOnce}
	for len(all) < maxPeels {
		some, err := w.Fleet.Peels(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("listing the hosts: %w", err)
		}
		if len(some) == 0 { // a short page may just be the master's own limit
			break
		}
		all = append(all, some...)
		q.After = some[len(some)-1].ID
	}
	return all, nil
}

// hostsView is the data of the page of hosts.
type hostsView struct {
	paging
	Peels           []fleet.Peel
	Sum             string
	Match, Presence string
	Presences       []fleet.Presence
	Filtered        bool
	Error           string
}

// presenceRank sorts what needs a person first.
var presenceRank = map[fleet.Presence]int{fleet.Away: 0, fleet.Never: 1, fleet.Connected: 2}

func (w *Web) hosts(rw http.ResponseWriter, r *http.Request) error {
	if w.Fleet == nil {
		return off("the master is")
	}
	q := r.URL.Query()
	v := hostsView{Match: q.Get("match"), Presence: q.Get("presence"), Presences: []fleet.Presence{fleet.Connected, fleet.Away, fleet.Never}}
	v.Match, _ = ui.Cut(v.Match, 256)
	v.Filtered = v.Match != "" || v.Presence != ""
	all, err := w.everyPeel(r.Context(), v.Match)
	switch {
	case errs.Is(err, errs.Invalid):
		v.Error = said(err)
	case err != nil:
		return err
	}
	counts := map[fleet.Presence]int{}
	for _, p := range all {
		counts[p.Presence]++
	}
	v.Sum = fmt.Sprintf("%s: %s connected, %s away, %s never seen", plural(len(all), "host", "hosts"),
		ui.Count(counts[fleet.Connected]), ui.Count(counts[fleet.Away]), ui.Count(counts[fleet.Never]))
	if v.Presence != "" {
		all = slices.DeleteFunc(all, func(p fleet.Peel) bool { return string(p.Presence) != v.Presence })
	}
	slices.SortStableFunc(all, func(a, b fleet.Peel) int {
		return cmp.Or(presenceRank[a.Presence]-presenceRank[b.Presence], cmp.Compare(a.ID, b.ID))
	})
	v.Peels, v.paging = hostPage(q, all)
	s := w.sheet(r, "Hosts", "/hosts")
	follow(&s, []string{topicPeels}, "hosts", "hosts-sum")
	s.Data = v
	return w.pages.Render(rw, r, http.StatusOK, "hosts", s)
}

// hostPage cuts out the page that "page" names, from 1.
func hostPage(q url.Values, all []fleet.Peel) ([]fleet.Peel, paging) {
	last := max(1, (len(all)+hostRows-1)/hostRows)
	n, err := strconv.Atoi(q.Get("page"))
	if err != nil || n < 1 {
		n = 1
	}
	n = min(n, last)
	var p paging
	at := func(n int) string {
		q.Set("page", strconv.Itoa(n))
		return "?" + q.Encode()
	}
	p.Shown = fmt.Sprintf("page %d of %d", n, last)
	p.OlderName, p.NewestName = "Next", "Previous"
	if n > 1 {
		p.Newest = at(n - 1)
	}
	if n < last {
		p.Older = at(n + 1)
	}
	return all[(n-1)*hostRows : min(n*hostRows, len(all))], p
}

// hostView is the data of the page of a host.
type hostView struct {
	Peel   fleet.Peel
	Facts  *fleet.Facts
	Pairs  []page.Pair
	Jobs   []fleet.Job
	CanRun bool
	Form   runForm
}

// hostJobs is how many jobs the page of a host lists.
const hostJobs = 10

func (w *Web) host(rw http.ResponseWriter, r *http.Request) error {
	if w.Fleet == nil {
		return off("the master is")
	}
	id, err := fleet.ParsePeelID(r.PathValue("id"))
	if err != nil {
		return errs.New(errs.NotFound, "there is no such host: %w", err)
	}
	return w.showHost(rw, r, http.StatusOK, id, runForm{})
}

func (w *Web) showHost(rw http.ResponseWriter, r *http.Request, status int, id fleet.PeelID, f runForm) error {
	p, err := w.Fleet.Peel(r.Context(), id)
	if err != nil {
		return fmt.Errorf("reading the host: %w", err)
	}
	jobs, err := w.Fleet.JobsOf(r.Context(), id, hostJobs)
	if err != nil {
		return fmt.Errorf("listing the jobs: %w", err)
	}
	v := hostView{Peel: p, Facts: p.Facts, CanRun: viewer(r).Operator, Jobs: jobs}
	f.Target, f.Fixed = string(id), true
	v.Form = f.filled()
	if p.Facts != nil {
		v.Pairs = factPairs(p)
	}
	s := w.sheet(r, string(id), "/hosts")
	s.Self = "/hosts/" + string(id)
	follow(&s, []string{topicPeels}, "presence", "facts", "recent")
	s.Data = v
	return w.pages.Render(rw, r, status, "host", s)
}

func factPairs(p fleet.Peel) []page.Pair {
	f := p.Facts
	system := f.OSPretty
	if system == "" {
		system = f.OS + " " + f.OSVersion
	}
	all := []page.Pair{
		{Key: "Host name", Value: f.Hostname}, {Key: "FQDN", Value: f.FQDN}, {Key: "System", Value: system},
		{Key: "Kernel", Value: f.KernelName + " " + f.Kernel}, {Key: "Architecture", Value: f.Arch},
		{Key: "Processor", Value: f.CPU.Model}, {Key: "Swap", Value: swap(f.Mem.Swap)},
		{Key: "Virtualisation", Value: f.Virtual}, {Key: "Packages", Value: f.PkgManager}, {Key: "Init", Value: f.Init},
		{Key: "Connects from", Value: p.Address}, {Key: "Machine id", Value: f.MachineID}, {Key: "Peel version", Value: f.Peel.Version},
	}
	return slices.DeleteFunc(all, func(x page.Pair) bool { return x.Value == "" })
}

func swap(n int64) string {
	if n == 0 {
		return "none"
	}
	return ui.Bytes(n)
}

// DiskKind names what a disk is. The kernel calls a disk that a hypervisor
// gives rotating, which it may be or not.
func (hostView) DiskKind(d fleet.Disk) string {
	switch {
	case strings.HasPrefix(d.Name, "vd") || strings.HasPrefix(d.Name, "xvd"):
		return "virtual"
	case d.Rotational:
		return "rotating"
	}
	return "solid state"
}
