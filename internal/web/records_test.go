package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network/store"
)

// TestEveryKindHasAPage shows that the page of the kinds leads to a list of
// each, which shows what stands in its rows.
func TestEveryKindHasAPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate(time.Now())
	c := w.as(t, "the-viewer")
	_, kinds, _ := c.get("/records")
	if seen := text(t, kinds); !strings.Contains(seen, "now, for its size") || !strings.Contains(seen, "of at most") {
		t.Errorf("the page of the kinds does not say what goes next:\n%s", seen)
	}
	if seen := strings.Join(strings.Fields(text(t, kinds)), " "); !strings.Contains(seen, "acme all 1.00 MiB 3.00 MiB") || !strings.Contains(seen, "acme flows 1.00 MiB") || !strings.Contains(seen, "3 days 2 Jan 03:04") {
		t.Errorf("the page of the kinds does not say what a tenant takes:\n%s", seen)
	}
	if _, taps, _ := c.get("/taps"); !strings.Contains(text(t, taps), "acme") {
		t.Error("the page of taps does not say whose they are")
	}
	for _, k := range store.Kinds() {
		path := k.Own
		if path == "" {
			path = "/records/" + k.Name
		}
		if !strings.Contains(kinds, `href="`+path+`">`+k.Name+"<") || !strings.Contains(text(t, kinds), k.Doc) {
			t.Errorf("the page of the kinds does not lead to %s", k.Name)
		}
		status, page, _ := c.get(path)
		if status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
		checkMarkup(t, path, page)
		rows := w.traffic.records[k.Name]
		if len(rows) == 0 {
			continue
		}
		seen := text(t, page)
		for i := range k.Columns {
			column := &k.Columns[i]
			if column.Filter && !strings.Contains(page, `name="`+column.Key+`"`) {
				t.Errorf("%s cannot be filtered by %s", path, column.Key)
			}
			if value := rows[0].Text(column); i > 0 && column.Filter && column.Name != "server_port" && !strings.Contains(seen, value) {
				t.Errorf("%s does not show the %s %q", path, column.Name, value)
			}
		}
	}
}

func TestRecordFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.populate(time.Now())
	c := w.as(t, "the-viewer")
	_, page, _ := c.get("/records/mail?mail_from=*@example.org&client=192.0.2.0/24&starttls=true&tap=office&from=2026-01-01&to=2026-01-02")
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	q := w.traffic.asked[0].(store.RecordQuery)
	if q.Kind != "mail" || !q.From.Equal(day) || q.Tap != "office" || q.Limit != 100 || len(q.Filters) != 3 ||
		q.Filters["mail_from"] != "*@example.org" || q.Filters["client"] != "192.0.2.0/24" || q.Filters["starttls"] != "true" {
		t.Errorf("the query is %+v", q)
	}
	if !strings.Contains(page, "before=") || !strings.Contains(page, "mail_from=") {
		t.Error("the link to older rows does not keep the filter")
	}
	if status, page, _ := c.get("/records/telepathy"); status != http.StatusNotFound || !strings.Contains(text(t, page), "no kind of records") {
		t.Errorf("an unknown kind: %d", status)
	}
	if status, _, h := c.get("/records/flows"); status != http.StatusSeeOther || h.Get("Location") != "/flows" {
		t.Errorf("flows have a page of their own: %d to %q", status, h.Get("Location"))
	}
}
