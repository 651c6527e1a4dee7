package web_test

import (
	"strings"
	"testing"
	"time"
)

// TestEventsPage: who told of what, filtered by name in the chosen time, and
// live.
func TestEventsPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now()
	w.populate(now)
	c := w.as(t, "the-viewer")
	_, page, _ := c.get("/events?name=disk.*&range=1h")
	seen := text(t, page)
	if !strings.Contains(seen, `disk.full web-01 {"mount":"/","free_bytes":4096}`) || strings.Contains(seen, "deploy.done version") || !strings.Contains(page, `href="/hosts/web-01"`) {
		t.Errorf("%s", seen)
	}
	if live := strings.Contains(page, "/events/changes?topics=events") && strings.Contains(page, "sse:events"); live != w.web.HasVendor() {
		t.Errorf("the page is live: %t, the scripts are there: %t", live, w.web.HasVendor())
	}
	if q := w.events.asked; q.Glob != "disk.*" || !q.Until.IsZero() || q.Limit != 100 || now.Sub(q.Since) < 50*time.Minute || now.Sub(q.Since) > 70*time.Minute {
		t.Errorf("asked for is %+v", q)
	}
	_, page, _ = c.get("/events?from=2026-01-02T03:04&to=2026-01-02T05:00")
	if q := w.events.asked; q.Until.UTC().Hour() != 5 || q.Since.UTC().Hour() != 3 || strings.Contains(page, "/events/changes") {
		t.Errorf("asked for is %+v", q)
	}
	if seen := text(t, page); !strings.Contains(seen, "deploy.done the-admin version 7") {
		t.Errorf("%s", seen)
	}
}
