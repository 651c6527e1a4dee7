package registrar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/enroll"
)

// index holds every record in memory, for lists and for counting. A decision
// reads the bucket itself.
type index struct {
	mu      sync.RWMutex
	records map[string]indexed
	byState map[enroll.State]int
	byKey   map[string]string // public key to the key of its newest record
}

type indexed struct {
	rec      enroll.Record
	revision uint64
	gone     bool
}

func newIndex() *index {
	return &index{records: map[string]indexed{}, byState: map[enroll.State]int{}, byKey: map[string]string{}}
}

// follow reads all records, and then every change until running ends.
func (x *index) follow(ctx, running context.Context, kv jetstream.KeyValue, done *sync.WaitGroup, log *slog.Logger) error {
	loaded := make(chan error, 1)
	began := time.Now()
	done.Go(func() {
		for first := true; running.Err() == nil; {
			err := x.watch(running, kv, loaded, log)
			if running.Err() != nil {
				return
			}
			// What is read first may have to wait for an election.
			if patient := first && bus.Passing(err) && time.Since(began) < bus.Patience; !patient {
				first = false
			}
			err = bus.Explain(bus.Enrollments, err)
			if !first {
				select {
				case loaded <- err:
				default:
				}
			}
			log.Error("the watch over the enrollments ended; it is begun again", "error", err)
			select {
			case <-running.Done():
			case <-time.After(watchAgain):
			}
		}
	})
	select {
	case err := <-loaded:
		return err
	case <-ctx.Done():
		return fmt.Errorf("reading the enrollments: %w", ctx.Err())
	}
}

// Pace of the watch over the records.
const (
	watchAgain = 2 * time.Second  // before a watch that ended is begun again
	lookAgain  = 10 * time.Second // between looks whether the bucket is the same
	catchUp    = 15 * time.Second // for a copy to reach what the leader had when the watch began
)

var errOther = errors.New("the bucket is another one than before: it was brought back")

// watch takes in what the bucket holds and what changes, and says once when
// the first of it has been read. Until then the records from before stay.
func (x *index) watch(running context.Context, kv jetstream.KeyValue, loaded chan<- error, log *slog.Logger) error {
	made, last, err := stateOf(running, kv)
	if err != nil {
		return err
	}
	w, err := kv.WatchAll(running)
	if err != nil {
		return err
	}
	defer func() { _ = w.Stop() }() // fails only when the connection is gone
	look := time.NewTicker(lookAgain)
	defer look.Stop()
	next := newIndex()
	var seen uint64
	var behind <-chan time.Time // while the copy that is read lacks what the leader has
	complete := func() {
		if next != x {
			x.replace(next)
			next, behind = x, nil
		}
		select {
		case loaded <- nil:
		default:
		}
	}
	for {
		select {
		case <-running.Done():
			return nil
		case <-behind:
			log.Warn("the enrollments that could be read are older than the leader's; they follow", "seen", seen, "last", last)
			complete()
		case <-look.C:
			// A watch goes on behind the last that it saw, which a bucket that
			// was brought back may not have reached yet.
			if at, _, err := stateOf(running, kv); err == nil && !at.Equal(made) {
				return errOther
			}
		case e, ok := <-w.Updates():
			switch {
			case !ok:
				return errors.New("the bus ended the watch")
			case e == nil && seen < last:
				behind = time.After(catchUp)
			case e == nil:
				complete()
			default:
				next.entry(e, log)
				if seen = max(seen, e.Revision()); behind != nil && seen >= last {
					complete()
				}
			}
		}
	}
}

// stateOf is when the bucket was made, and the revision that its leader wrote
// last, 0 when there is none. A watch reads a copy, which may be behind it.
func stateOf(ctx context.Context, kv jetstream.KeyValue) (made time.Time, last uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	status, err := kv.Status(ctx)
	if err != nil {
		return made, 0, err
	}
	b, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok {
		return made, 0, nil
	}
	info := b.StreamInfo()
	if info.State.Msgs > 0 {
		last = info.State.LastSeq
	}
	return info.Created, last, nil
}

// replace takes over what another index has read. What was written here
// meanwhile comes with the watch.
func (x *index) replace(next *index) {
	if next == x {
		return
	}
	next.mu.RLock()
	defer next.mu.RUnlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.records, x.byState, x.byKey = next.records, next.byState, next.byKey
}

func (x *index) entry(e jetstream.KeyValueEntry, log *slog.Logger) {
	if e.Operation() != jetstream.KeyValuePut {
		x.remove(e.Key(), e.Revision())
		return
	}
	var rec enroll.Record
	if err := json.Unmarshal(e.Value(), &rec); err != nil {
		log.Error("an enrollment record cannot be read", "key", e.Key(), "revision", e.Revision(), "error", err)
		return
	}
	complete(&rec)
	x.put(e.Key(), rec, e.Revision())
}

func (x *index) put(key string, rec enroll.Record, revision uint64) {
	x.set(key, indexed{rec: rec, revision: revision})
}

func (x *index) remove(key string, revision uint64) {
	x.set(key, indexed{revision: revision, gone: true})
}

// set takes the newer of two versions, since a write of our own is put here at
// once and comes back later.
func (x *index) set(key string, next indexed) {
	x.mu.Lock()
	defer x.mu.Unlock()
	old, known := x.records[key]
	if known && old.revision >= next.revision {
		return
	}
	if known && !old.gone {
		x.byState[old.rec.State]--
		if x.byKey[old.rec.PublicKey] == key {
			delete(x.byKey, old.rec.PublicKey)
		}
	}
	if !next.gone {
		x.byState[next.rec.State]++
		x.byKey[next.rec.PublicKey] = key
	}
	x.records[key] = next
}

// get returns the record under a key.
func (x *index) get(key string) (enroll.Record, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	v, ok := x.records[key]
	return v.rec, ok && !v.gone
}

// holder returns the id that a public key holds or waits for.
func (x *index) holder(publicKey string) (fleet.PeelID, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	v, ok := x.records[x.byKey[publicKey]]
	if !ok || v.gone || !holding(v.rec.State) {
		return "", false
	}
	return v.rec.ID, true
}

func (x *index) count(s enroll.State) int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.byState[s]
}

// list returns the records in a state ("": all), sorted by id, that which
// waits to replace another after the one that it would replace.
func (x *index) list(state enroll.State) []enroll.Record {
	x.mu.RLock()
	defer x.mu.RUnlock()
	keys := slices.SortedFunc(maps.Keys(x.records), strings.Compare)
	var out []enroll.Record
	for _, k := range keys {
		if v := x.records[k]; !v.gone && (state == "" || v.rec.State == state) {
			out = append(out, v.rec)
		}
	}
	return out
}

// peels returns the ids of all that are peels, sorted.
func (x *index) peels() []fleet.PeelID {
	x.mu.RLock()
	defer x.mu.RUnlock()
	ids := make([]fleet.PeelID, 0, x.byState[enroll.Approved]+x.byState[enroll.Suspended])
	for _, v := range x.records {
		if !v.gone && (v.rec.State == enroll.Approved || v.rec.State == enroll.Suspended) {
			ids = append(ids, v.rec.ID)
		}
	}
	slices.Sort(ids)
	return ids
}
