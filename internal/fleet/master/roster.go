package master

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/settings/compile"
	"github.com/rind-project/rind/internal/fleet/target"
)

// everyone matches every peel.
var everyone = target.Everyone()

// roster knows which peels there are: those that are enrolled, who can be
// targeted, and those that have facts, who are shown beside them.
type roster struct {
	enrolled func(context.Context) ([]fleet.PeelID, error)
	all      *target.Index  // enrolled or with facts
	targets  *target.Subset // of these, the enrolled

	touch func(fleet.PeelID) // is told of each peel of which something is new

	refreshing sync.Mutex // one refresh at a time
	planned    atomic.Bool

	mu    sync.RWMutex
	asked time.Time                  // when enrolled was asked last
	told  map[fleet.PeelID]time.Time // when the facts were published
}

func newRoster(enrolled func(context.Context) ([]fleet.PeelID, error), settings *compile.Compiler) *roster {
	r := &roster{enrolled: enrolled, touch: func(fleet.PeelID) {}, told: map[fleet.PeelID]time.Time{}}
	if settings == nil {
		r.all = target.NewIndex()
	} else {
		r.all, r.touch = target.NewIndex(target.WithSettings(settings.Values)), settings.Touch
		settings.Attach(r.all)
	}
	r.targets = r.all.Subset()
	return r
}

// refresh asks who is enrolled.
func (r *roster) refresh(ctx context.Context) error {
	r.refreshing.Lock()
	defer r.refreshing.Unlock()
	ids, err := r.enrolled(ctx)
	if err != nil {
		return fmt.Errorf("asking who is enrolled: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := make(map[fleet.PeelID]bool, len(ids))
	for _, id := range ids {
		now[id] = true
		if r.targets.Has(id) {
			continue
		}
		if _, known := r.all.Facts(id); !known {
			r.all.Put(id, nil)
			r.touch(id)
		}
		r.targets.Add(id)
	}
	for _, id := range r.targets.Select(everyone, "", 0) {
		if now[id] {
			continue
		}
		r.targets.Remove(id)
		if _, has := r.told[id]; !has {
			r.all.Remove(id)
			r.touch(id)
		}
	}
	r.asked = time.Now()
	return nil
}

// stale is how old the list of who is enrolled may be when it is shown.
const stale = 2 * time.Second

// fresh refreshes when the last time is longer ago than stale.
func (r *roster) fresh(ctx context.Context) error {
	r.mu.RLock()
	age := time.Since(r.asked)
	r.mu.RUnlock()
	if age < stale {
		return nil
	}
	return r.refresh(ctx)
}

// soon runs fn in a moment, once for all that ask until then.
func (r *roster) soon(fn func()) {
	if r.planned.CompareAndSwap(false, true) {
		time.AfterFunc(quietly, func() { r.planned.Store(false); fn() })
	}
}

// isEnrolled reports whether a peel was enrolled at the last refresh.
func (r *roster) isEnrolled(id fleet.PeelID) bool {
	return r.targets.Has(id)
}

// apply takes an entry of the bucket facts. The id is that of the key.
func (r *roster) apply(e jetstream.KeyValueEntry) error {
	id, err := fleet.ParsePeelID(e.Key())
	if err != nil {
		return fmt.Errorf("a key in the bucket facts: %w", err)
	}
	if e.Operation() != jetstream.KeyValuePut {
		r.forget(id, false)
		return nil
	}
	var f fleet.Facts
	if err := json.Unmarshal(e.Value(), &f); err != nil {
		return fmt.Errorf("the facts of %s: %w", id, err)
	}
	f.ID = id
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told[id] = e.Created()
	r.all.Put(id, &f)
	r.touch(id)
	return nil
}

// forget drops the facts of a peel, and with gone that it is enrolled.
func (r *roster) forget(id fleet.PeelID, gone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.touch(id)
	delete(r.told, id)
	if r.isEnrolled(id) && !gone {
		r.all.Put(id, nil)
		return
	}
	r.all.Remove(id)
}

func (r *roster) toldAt(id fleet.PeelID) time.Time {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.told[id]
}
