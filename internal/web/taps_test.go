package web_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/ingest"
)

var tapRow = regexp.MustCompile(`title="(tap-[0-9]+)"`)

// Two machines with one token are told where taps are looked at.
func TestSharedTokenIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now()
	w.taps.taps = []ingest.TapInfo{{Name: "office", Created: now, LastReport: &now, Shared: &now}, {Name: "lab", Created: now, LastReport: &now}}
	c := w.as(t, "the-viewer")
	for _, path := range []string{"/", "/taps"} {
		_, page, _ := c.get(path)
		if got := text(t, page); !strings.Contains(got, "shared token") || !strings.Contains(got, "two machines report with the token of office") || strings.Contains(got, "of lab") {
			t.Errorf("%s: %s", path, got)
		}
	}
}

// The table of taps comes in pages; the alerts are about all of them.
func TestTapsArePaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now()
	silent := now.Add(-time.Hour)
	for i := range 230 {
		x := ingest.TapInfo{Name: network.TapID(fmt.Sprintf("tap-%03d", i)), Created: silent, LastReport: &now}
		if i == 229 {
			x.LastReport = &silent
		}
		w.taps.taps = append(w.taps.taps, x)
	}
	c := w.as(t, "the-viewer")
	_, overview, _ := c.get("/")
	if rows := tapRow.FindAllStringSubmatch(overview, -1); len(rows) == 0 || len(rows) > 20 || rows[0][1] != "tap-229" ||
		!strings.Contains(text(t, overview), fmt.Sprint(230-len(rows), " more")) {
		t.Errorf("the overview shows %v", rows)
	}
	seen := map[string]bool{}
	path, pages := "/taps?range=1h", 1
	for ; ; pages++ {
		status, page, _ := c.get(path)
		rows := tapRow.FindAllStringSubmatch(page, -1)
		if status != http.StatusOK || len(rows) > 100 || pages > 5 || !strings.Contains(text(t, page), "no report for more than a minute from tap-229") {
			t.Fatalf("%s: %d, %d rows: %s", path, status, len(rows), text(t, page))
		}
		for _, m := range rows {
			seen[m[1]] = true
		}
		m := nextLink.FindStringSubmatch(page)
		if m == nil {
			break
		}
		if !strings.Contains(m[1], "range=1h") {
			t.Errorf("the time range is lost in %s", m[1])
		}
		path = "/taps" + strings.ReplaceAll(m[1], "&amp;", "&")
	}
	if len(seen) != 230 || pages != 3 {
		t.Errorf("%d taps on %d pages", len(seen), pages)
	}
	if _, page, _ := c.get("/taps?after=zzz"); !strings.Contains(text(t, page), "No tap follows.") {
		t.Errorf("behind the last: %s", text(t, page))
	}
}
