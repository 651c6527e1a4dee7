// Package roster knows which peels there are: those that are enrolled, who can
// be targeted, and those that have facts, who are shown beside them.
package roster

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

const (
	stale   = 2 * time.Second        // how old the list of who is enrolled may be when it is shown
	quietly = 150 * time.Millisecond // how long those who want it read again are gathered
)

// Peels are the peels that there are. Use New.
type Peels struct {
	All     *target.Index  // enrolled or with facts
	Targets *target.Subset // of these, the enrolled

	enrolled func(context.Context) ([]fleet.PeelID, error)
	touch    func(fleet.PeelID) // is told of each peel of which something is new

	refreshing sync.Mutex // one refresh at a time
	planned    atomic.Bool

	mu    sync.RWMutex
	asked time.Time                  // when enrolled was asked last
	told  map[fleet.PeelID]time.Time // when the facts were published
}

// New makes a roster of nobody. Enrolled returns the ids of all approved peels;
// settings, which may be nil, know those of each peel.
func New(enrolled func(context.Context) ([]fleet.PeelID, error), settings *compile.Compiler) *Peels {
	r := &Peels{enrolled: enrolled, touch: func(fleet.PeelID) {}, told: map[fleet.PeelID]time.Time{}}
	if settings == nil {
		r.All = target.NewIndex()
	} else {
		r.All, r.touch = target.NewIndex(target.WithSettings(settings.Values)), settings.Touch
		settings.Attach(r.All)
	}
	r.Targets = r.All.Subset()
	return r
}

// Refresh asks who is enrolled.
func (r *Peels) Refresh(ctx context.Context) error {
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
		if r.Targets.Has(id) {
			continue
		}
		if _, known := r.All.Facts(id); !known {
			r.All.Put(id, nil)
			r.touch(id)
		}
		r.Targets.Add(id)
	}
	for _, id := range r.Targets.Select(target.Everyone(), "", 0) {
		if now[id] {
			continue
		}
		r.Targets.Remove(id)
		if _, has := r.told[id]; !has {
			r.All.Remove(id)
			r.touch(id)
		}
	}
	r.asked = time.Now()
	return nil
}

// Fresh refreshes when the last time is longer ago than what is shown may be
// old.
func (r *Peels) Fresh(ctx context.Context) error {
	r.mu.RLock()
	age := time.Since(r.asked)
	r.mu.RUnlock()
	if age < stale {
		return nil
	}
	return r.Refresh(ctx)
}

// Soon runs fn in a moment, once for all that ask until then.
func (r *Peels) Soon(fn func()) {
	if r.planned.CompareAndSwap(false, true) {
		time.AfterFunc(quietly, func() { r.planned.Store(false); fn() })
	}
}

// Enrolled reports whether a peel was enrolled at the last refresh.
func (r *Peels) Enrolled(id fleet.PeelID) bool {
	return r.Targets.Has(id)
}

// Apply takes an entry of the bucket facts. The id is that of the key.
func (r *Peels) Apply(e jetstream.KeyValueEntry) error {
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
	r.All.Put(id, &f)
	r.touch(id)
	return nil
}

// Forget drops a peel that is enrolled no more, with its facts.
func (r *Peels) Forget(id fleet.PeelID) { r.forget(id, true) }

// forget drops the facts of a peel, and with gone that it is enrolled.
func (r *Peels) forget(id fleet.PeelID, gone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.touch(id)
	delete(r.told, id)
	if r.Enrolled(id) && !gone {
		r.All.Put(id, nil)
		return
	}
	r.All.Remove(id)
}

// Told is when a peel told its facts last; zero without any.
func (r *Peels) Told(id fleet.PeelID) time.Time {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.told[id]
}
