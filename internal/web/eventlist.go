package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/event"
	"github.com/rind-project/rind/internal/web/ui"
)

// maxShownData is how much of an event's data a row has, in characters.
const maxShownData = 1000

// eventsView is the data of the page of events.
type eventsView struct {
	listView
	Rows []eventRow
}

// eventRow is an event as a row of a table.
type eventRow struct {
	At         time.Time
	Name, Data string
	Peel       fleet.PeelID
	By         string
}

func (w *Web) eventList(rw http.ResponseWriter, r *http.Request) error {
	if w.Events == nil {
		return off("the master is")
	}
	win, picker, err := w.window(r)
	v := eventsView{listView: listView{Window: picker, Filter: newFilter(r, field{Name: "name", Label: "Name, * for anything", Example: "disk.*", Grow: true})}}
	v.Filter.fault(err)
	if v.Filter.Error == "" {
		q := event.Query{Glob: v.Filter.value("name"), Since: win.From, Until: win.To, Limit: pageRows}
		if win.Live() {
			q.Until = time.Time{}
		}
		rows, err := w.Events.Latest(r.Context(), q)
		switch {
		case errs.Is(err, errs.Invalid), errs.Is(err, errs.TooLarge):
			v.Filter.bad("name", err)
		case err != nil:
			return fmt.Errorf("listing the events: %w", err)
		}
		for _, e := range rows {
			v.Rows = append(v.Rows, eventRow{At: e.At, Name: e.Name, Data: shownData(e.Data), Peel: e.Peel, By: e.By})
		}
		if n := len(rows); n > 0 {
			v.Shown = plural(n, "event", "events")
			if n == pageRows {
				v.Shown = fmt.Sprintf("The newest %d are shown; rind event list lists more.", n)
			}
		}
	}
	s := w.sheet(r, "Events", "/events")
	if win.Live() {
		follow(&s, []string{topicEvents}, "rows")
	}
	s.Data = v
	return w.pages.Render(rw, r, http.StatusOK, "events", s)
}

// shownData is the data as text: a JSON text as it reads, else the JSON.
func shownData(data json.RawMessage) string {
	var text string
	if json.Unmarshal(data, &text) != nil {
		var b bytes.Buffer
		if json.Compact(&b, data) != nil {
			return ""
		}
		text = b.String()
	}
	text, _ = ui.Cut(text, maxShownData)
	return text
}
