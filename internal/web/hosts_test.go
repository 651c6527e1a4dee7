package web_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/fleet"
)

// fill makes a fleet in which each of every hosts is away.
func (w *world) fill(n, every int) {
	w.fleet.peels = nil
	for i := range n {
		p := fleet.Peel{ID: fleet.PeelID(fmt.Sprintf("host-%06d", i)), Presence: fleet.Connected}
		if i%every == every-1 {
			p.Presence = fleet.Away
		}
		w.fleet.peels = append(w.fleet.peels, p)
	}
}

var (
	hostLink = regexp.MustCompile(`href="/hosts/(host-[0-9]+)"`)
	nextLink = regexp.MustCompile(`href="([^"]*after=[^"]*)">Next<`)
)

// walkHosts follows "Next" to the end and returns the ids of all pages.
func (w *world) walkHosts(t *testing.T, path string) (ids []string, pages int) {
	t.Helper()
	c := w.as(t, "the-viewer")
	for pages = 1; ; pages++ {
		status, page, _ := c.get(path)
		if status != http.StatusOK || pages > 100 {
			t.Fatalf("%s: %d at page %d", path, status, pages)
		}
		rows := hostLink.FindAllStringSubmatch(page, -1)
		if len(rows) > 100 {
			t.Errorf("%s: %d rows", path, len(rows))
		}
		for _, m := range rows {
			ids = append(ids, m[1])
		}
		if first := strings.Contains(page, ">First page<"); first != (pages > 1) {
			t.Errorf("%s: a link to the first page: %v", path, first)
		}
		m := nextLink.FindStringSubmatch(page)
		if m == nil {
			return ids, pages
		}
		path = "/hosts" + strings.ReplaceAll(m[1], "&amp;", "&")
	}
}

// Whatever the filter, the pages give each host once, and no page reads more of
// the fleet than it has to.
func TestHostsArePaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, test := range map[string]struct {
		hosts, every int
		path         string
		want, pages  int
		asked        int // of the master, at most, rows for one page
	}{
		"all":                    {250, 10, "/hosts", 250, 3, 101 + 101},
		"exactly a page":         {100, 10, "/hosts", 100, 1, 101 + 101},
		"by glob":                {2500, 10, "/hosts?match=host-0001*", 100, 1, 202},
		"away":                   {1500, 10, "/hosts?presence=away", 150, 2, 3000},
		"away by glob":           {1500, 10, "/hosts?match=host-0000*&presence=away", 10, 1, 3000},
		"few away among many":    {45_000, 30_000, "/hosts?presence=away", 1, 3, 21_000},
		"never, and none is":     {500, 10, "/hosts?presence=never", 0, 1, 2000},
		"behind the last":        {50, 10, "/hosts?after=zzz", 0, 2, 202},
		"connected, many of all": {1000, 10, "/hosts?presence=connected", 900, 9, 3000},
	} {
		w.fill(test.hosts, test.every)
		w.fleet.most = 0
		if name == "behind the last" {
			_, page, _ := w.as(t, "the-viewer").get(test.path)
			if seen := text(t, page); !strings.Contains(seen, "No host follows.") {
				t.Errorf("%s: %s", name, seen)
			}
			continue
		}
		ids, pages := w.walkHosts(t, test.path)
		seen := map[string]bool{}
		for _, id := range ids {
			seen[id] = true
		}
		if len(ids) != test.want || len(seen) != test.want || pages != test.pages {
			t.Errorf("%s: %d hosts (%d different) on %d pages, want %d on %d", name, len(ids), len(seen), pages, test.want, test.pages)
		}
		if w.fleet.most > test.asked {
			t.Errorf("%s: a page read %d hosts, want at most %d", name, w.fleet.most, test.asked)
		}
	}
}

// Who is away is named on top of a long list, since it may be far down in it.
func TestHostsNameThoseAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(500, 400)
	c := w.as(t, "the-viewer")
	for path, want := range map[string]string{
		"/hosts":                "1 host is not connected: host-000399 See them",
		"/hosts?after=x":        "1 host is not connected: host-000399 See them",
		"/hosts?match=*":        "500 hosts: 499 connected, 1 away, 0 never seen",
		"/hosts?presence=x":     "choose one of connected, away, never and cut off",
		"/hosts?after=A.B":      "The place in the list is damaged; begin with its first page.",
		"/hosts?presence=never": "No host matches.",
	} {
		if status, page, _ := c.get(path); status != http.StatusOK || !strings.Contains(text(t, page), want) {
			t.Errorf("%s: %d, no %q in %s", path, status, want, text(t, page))
		}
	}
}
