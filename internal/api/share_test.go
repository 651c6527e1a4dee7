package api_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/apitest"
	"github.com/rind-project/rind/internal/api/wire"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/basket/holder"
)

func TestBasketOfHosts(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	for _, id := range []fleet.PeelID{"db-1", "db-2", "web-1"} {
		s.Basket.All = append(s.Basket.All, fleet.BasketItem{Peel: id, Name: "addr", Size: 3, Updated: apitest.Now, Value: json.RawMessage(`"<"`)})
	}
	viewer := s.Token(t, access.Viewer)
	first := get[wire.BasketOut](t, s, viewer, "/api/v1/basket?target=db-*&limit=1")
	if len(first.Items) != 1 || first.Next != "db-1.addr" || first.Items[0].Value != nil {
		t.Errorf("%+v", first)
	}
	second := get[wire.BasketOut](t, s, viewer, "/api/v1/basket/addr?target=db-*&after="+first.Next)
	if len(second.Items) != 1 || second.Next != "" || second.Items[0].Peel != "db-2" || text(t, second.Items[0].Value) != "<" {
		t.Errorf("%+v", second)
	}
	want := holder.Query{Target: "db-*", Name: "addr", Values: true, After: "db-1.addr", Limit: 100}
	if diff := cmp.Diff(want, s.Basket.Query); diff != "" {
		t.Error(diff)
	}
}

func text(t *testing.T, raw json.RawMessage) (s string) {
	t.Helper()
	decode(t, string(raw), &s)
	return s
}

func TestEventsAreWatched(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	s.Events.Add(fleet.Event{Name: "disk.full", Peel: "web-1", At: apitest.Now.Add(-2 * time.Hour)})
	s.Events.Add(fleet.Event{Name: "disk.full", Peel: "web-2", At: apitest.Now.Add(-time.Minute)})
	s.Events.Add(fleet.Event{Name: "job/done", By: "anna", At: apitest.Now.Add(-time.Minute)})
	list := get[wire.EventsOut](t, s, s.Token(t, access.Viewer), "/api/v1/events/list?glob=disk.*")
	if len(list.Events) != 1 || list.Events[0].Peel != "web-2" {
		t.Errorf("%+v", list)
	}
	all := get[wire.EventsOut](t, s, s.Token(t, access.Viewer), "/api/v1/events/list?since=1d&limit=1")
	if len(all.Events) != 1 || all.Next != 1 {
		t.Errorf("%+v", all)
	}
	s.Events.Add(fleet.Event{Name: "late.one", At: apitest.Now})
	s.Events.Add(fleet.Event{Name: "late.two", At: apitest.Now})
	latest := get[wire.EventsOut](t, s, s.Token(t, access.Viewer), "/api/v1/events/list?since=1d&limit=2&latest=true")
	if len(latest.Events) != 2 || latest.Events[0].Name != "late.one" || latest.Events[1].Name != "late.two" || latest.Next != 0 {
		t.Errorf("the latest are %+v", latest)
	}
	lines, _ := open(t, s, "/events/watch?glob=disk.*&since=10m")
	expect := func(peel fleet.PeelID) {
		t.Helper()
		name, data := next(lines)
		var e fleet.Event
		if err := json.Unmarshal([]byte(data), &e); err != nil || name != "event" || e.Peel != peel {
			t.Errorf("got %q %s, want that of %s", name, data, peel)
		}
	}
	expect("web-2")
	s.Events.Add(fleet.Event{Name: "disk.full", Peel: "web-3", At: apitest.Now})
	expect("web-3")
	if err := s.API.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // ends, or the context of the test does
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the stream ended badly: %v", err)
	}
}
