package apitest

import (
	"context"
	"encoding/json"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/basket/holder"
	"github.com/rind-project/rind/internal/fleet/event"
)

// Basket holds shared values in memory.
type Basket struct {
	All   []fleet.BasketItem
	Query holder.Query // the last
}

// Items implements api.Basket.
func (b *Basket) Items(_ context.Context, q holder.Query) (items []fleet.BasketItem, next string, err error) {
	b.Query = q
	if _, err := match(q.Target, fleet.Peel{}); err != nil {
		return nil, "", err
	}
	for _, it := range b.All {
		ok, err := match(q.Target, fleet.Peel{ID: it.Peel})
		if err != nil {
			return nil, "", err
		}
		at := string(it.Peel) + "." + it.Name
		if !ok || q.Name != "" && it.Name != q.Name || at <= q.After {
			continue
		}
		if len(items) == q.Limit {
			return items, string(items[len(items)-1].Peel) + "." + items[len(items)-1].Name, nil
		}
		if !q.Values {
			it.Value = nil
		}
		items = append(items, it)
	}
	return items, "", nil
}

// Events keeps events in memory.
type Events struct {
	Cut uint64 // when not 0, Watch ends behind the event with this place, once

	mu   sync.Mutex
	all  []fleet.Event
	news chan struct{}
}

// Add appends an event.
func (e *Events) Add(ev fleet.Event) fleet.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	ev.Seq = uint64(len(e.all) + 1)
	e.all = append(e.all, ev)
	if e.news != nil {
		close(e.news)
		e.news = nil
	}
	return ev
}

// Send implements api.Events.
func (e *Events) Send(_ context.Context, by, name string, data json.RawMessage) (fleet.Event, error) {
	if err := fleet.CheckEventName(name); err != nil {
		return fleet.Event{}, errs.New(errs.Invalid, "%w", err)
	}
	return e.Add(fleet.Event{ID: "e1", Name: name, By: by, At: Now, Data: data}), nil
}

func (e *Events) chosen(q event.Query) []fleet.Event {
	var out []fleet.Event
	for _, ev := range e.all {
		ok, _ := path.Match(strings.ReplaceAll(q.Glob, "/", "_"), strings.ReplaceAll(ev.Name, "/", "_"))
		if ok && ev.Seq > q.After && (q.After > 0 || !ev.At.Before(q.Since)) {
			out = append(out, ev)
		}
	}
	return out
}

// List implements api.Events.
func (e *Events) List(_ context.Context, q event.Query) (events []fleet.Event, next uint64, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, err := path.Match(q.Glob, ""); err != nil {
		return nil, 0, errs.New(errs.Invalid, "%q is no glob of events' names", q.Glob)
	}
	all := e.chosen(q)
	if len(all) > q.Limit {
		return slices.Clone(all[:q.Limit]), all[q.Limit-1].Seq, nil
	}
	return all, 0, nil
}

// Latest implements api.Events.
func (e *Events) Latest(_ context.Context, q event.Query) ([]fleet.Event, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, err := path.Match(q.Glob, ""); err != nil {
		return nil, errs.New(errs.Invalid, "%q is no glob of events' names", q.Glob)
	}
	all := e.chosen(q)
	slices.Reverse(all)
	return all[:min(len(all), q.Limit)], nil
}

// Watch implements api.Events.
func (e *Events) Watch(ctx context.Context, q event.Query) (<-chan fleet.EventStep, error) {
	if _, err := path.Match(q.Glob, ""); err != nil {
		return nil, errs.New(errs.Invalid, "%q is no glob of events' names", q.Glob)
	}
	out := make(chan fleet.EventStep)
	e.mu.Lock()
	end := uint64(len(e.all))
	e.mu.Unlock()
	go func() {
		defer close(out)
		if q.Since.IsZero() && q.After == 0 && end > 0 {
			q.After = end // what is there is not new
			select {
			case out <- fleet.EventStep{Place: end}:
			case <-ctx.Done():
				return
			}
		}
		for {
			e.mu.Lock()
			all := e.chosen(q)
			if e.news == nil {
				e.news = make(chan struct{})
			}
			news := e.news
			e.mu.Unlock()
			for _, ev := range all {
				select {
				case out <- fleet.EventStep{Event: &ev}:
				case <-ctx.Done():
					return
				}
				q.After = ev.Seq
				if e.cut(ev.Seq) {
					return
				}
			}
			select {
			case <-news:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

func (e *Events) cut(seq uint64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.Cut != seq {
		return false
	}
	e.Cut = 0
	return true
}
