package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/master"
	"github.com/rind-project/rind/internal/web/page"
	"github.com/rind-project/rind/internal/web/ui"
)

// Limits of the page of hosts. It never reads the whole fleet: a filter by
// presence looks at so many hosts, and goes on from there on the next page.
const (
	hostRows = 100    // of a page
	hostScan = 1_000  // of one question to the master, when most may not fit
	hostMost = 20_000 // that are looked at for one page
)

// hostsView is the data of the page of hosts.
type hostsView struct {
	paging
	Peels           []fleet.Peel
	Alerts          []alert
	Sum             string
	Match, Presence string
	Presences       []fleet.Presence
	Filtered        bool
	Looked          bool // at as many as a page may, and there are more
	Error           string
}

func (w *Web) hosts(rw http.ResponseWriter, r *http.Request) error {
	if w.Fleet == nil {
		return off("the master is")
	}
	q := r.URL.Query()
	v := hostsView{Match: q.Get("match"), Presence: q.Get("presence"), Presences: []fleet.Presence{fleet.Connected, fleet.Away, fleet.Never, fleet.CutOff}}
	v.Match, _ = ui.Cut(v.Match, 256)
	v.Filtered = v.Match != "" || v.Presence != ""
	counts, err := w.Fleet.Counts(r.Context())
	if err != nil {
		return fmt.Errorf("counting the hosts: %w", err)
	}
	v.Sum = fmt.Sprintf("%s: %s connected, %s away, %s never seen", plural(counts.Total, "host", "hosts"),
		ui.Count(counts.Connected), ui.Count(counts.Away), ui.Count(counts.Never))
	if counts.CutOff > 0 {
		v.Sum += ", " + ui.Count(counts.CutOff) + " cut off"
	}
	if counts.Away > 0 && v.Presence == "" {
		v.Alerts = []alert{awayAlert(counts)}
	}
	err = w.hostPage(r, &v)
	switch {
	case errs.Is(err, errs.Invalid):
		v.Error = said(err)
	case err != nil:
		return err
	}
	s := w.sheet(r, "Hosts", "/hosts")
	follow(&s, []string{topicPeels}, "hosts-sum", "away", "hosts")
	s.Data = v
	return w.pages.Render(rw, r, http.StatusOK, "hosts", s)
}

// awayAlert names hosts that are away.
func awayAlert(c master.Counts) alert {
	return alert{
		Level: "bad", Word: "Away", Link: "/hosts?presence=away", Action: "See them",
		Text: plural(c.Away, "host is", "hosts are") + " not connected: " + listOf(c.AwayPeels, c.Away, namedMost),
	}
}

// hostPage fills in the hosts that follow the parameter "after", by id, and the
// links to other pages.
func (w *Web) hostPage(r *http.Request, v *hostsView) error {
	if v.Presence != "" && !slices.Contains(v.Presences, fleet.Presence(v.Presence)) {
		return errs.New(errs.Invalid, "%q is no presence; choose one of connected, away, never and cut off", ui.Visible(v.Presence))
	}
	q := r.URL.Query()
	ask := master.PeelQuery{Match: v.Match, Limit: hostRows + 1}
	if v.Presence != "" {
		ask.Limit = hostScan
	}
	var err error
	if after := q.Get("after"); after != "" {
		if ask.After, err = fleet.ParsePeelID(after); err != nil {
			return errs.New(errs.Invalid, "the place in the list is damaged; begin with its first page")
		}
		q.Del("after")
		v.Newest = "?" + q.Encode()
	}
	next, err := w.scanHosts(r.Context(), ask, v)
	if err != nil {
		return fmt.Errorf("listing the hosts: %w", err)
	}
	v.OlderName, v.NewestName = "Next", "First page"
	v.Shown = plural(len(v.Peels), "row", "rows")
	if next != "" {
		q.Set("after", string(next))
		v.Older = "?" + q.Encode()
	}
	return nil
}

// scanHosts collects a page of hosts, and returns where the next one begins, ""
// when there is none.
func (w *Web) scanHosts(ctx context.Context, ask master.PeelQuery, v *hostsView) (fleet.PeelID, error) {
	for looked := 0; looked < hostMost; {
		some, err := w.Fleet.Peels(ctx, ask)
		if err != nil {
			return "", err
		}
		for _, p := range some {
			if v.Presence != "" && string(p.Presence) != v.Presence {
				continue
			}
			if len(v.Peels) == hostRows {
				return v.Peels[hostRows-1].ID, nil
			}
			v.Peels = append(v.Peels, p)
		}
		if len(some) == 0 { // a short page may just be the master's own limit
			return "", nil
		}
		looked += len(some)
		ask.After = some[len(some)-1].ID
	}
	v.Looked = true
	return ask.After, nil
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
