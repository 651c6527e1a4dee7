package roster_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/master/roster"
	"github.com/rind-project/rind/internal/fleet/target"
)

// entry is an entry of the bucket facts; without a value it was deleted.
type entry struct {
	jetstream.KeyValueEntry
	key   string
	value []byte
	at    time.Time
}

func (e entry) Key() string        { return e.key }
func (e entry) Value() []byte      { return e.value }
func (e entry) Created() time.Time { return e.at }

func (e entry) Operation() jetstream.KeyValueOp {
	if e.value == nil {
		return jetstream.KeyValueDelete
	}
	return jetstream.KeyValuePut
}

func facts(t *testing.T, id fleet.PeelID, at time.Time) entry {
	t.Helper()
	b, err := json.Marshal(fleet.Facts{ID: id, OS: "linux"})
	if err != nil {
		t.Fatal(err)
	}
	return entry{key: string(id), value: b, at: at}
}

// TestWhoIsThere: a peel is shown as long as it is enrolled or has facts, and
// is a target only while it is enrolled.
func TestWhoIsThere(t *testing.T) {
	t.Parallel()
	var enrolled []fleet.PeelID
	var failed error
	r := roster.New(func(context.Context) ([]fleet.PeelID, error) { return enrolled, failed }, nil)
	now := time.Now()
	steps := []struct {
		what         string
		do           func() error
		all, targets []fleet.PeelID
	}{
		{"nobody", func() error { return r.Refresh(t.Context()) }, nil, nil},
		{"two are enrolled", func() error { enrolled = []fleet.PeelID{"web", "db"}; return r.Refresh(t.Context()) }, []fleet.PeelID{"db", "web"}, []fleet.PeelID{"db", "web"}},
		{"one of them tells its facts", func() error { return r.Apply(facts(t, "web", now)) }, []fleet.PeelID{"db", "web"}, []fleet.PeelID{"db", "web"}},
		{"one has facts of before", func() error { return r.Apply(facts(t, "old", now)) }, []fleet.PeelID{"db", "old", "web"}, []fleet.PeelID{"db", "web"}},
		{"both are enrolled no more", func() error { enrolled = nil; return r.Refresh(t.Context()) }, []fleet.PeelID{"old", "web"}, nil},
		{"facts are deleted", func() error { return r.Apply(entry{key: "old"}) }, []fleet.PeelID{"web"}, nil},
		{"it is enrolled again", func() error { enrolled = []fleet.PeelID{"web"}; return r.Refresh(t.Context()) }, []fleet.PeelID{"web"}, []fleet.PeelID{"web"}},
		{"its facts are deleted", func() error { return r.Apply(entry{key: "web"}) }, []fleet.PeelID{"web"}, []fleet.PeelID{"web"}},
		{"it is forgotten", func() error { r.Forget("web"); enrolled = nil; return r.Refresh(t.Context()) }, nil, nil},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if diff := cmp.Diff(step.all, r.All.Select(target.Everyone(), "", 0)); diff != "" {
			t.Errorf("%s: shown: %s", step.what, diff)
		}
		if diff := cmp.Diff(step.targets, r.Targets.Select(target.Everyone(), "", 0)); diff != "" {
			t.Errorf("%s: targets: %s", step.what, diff)
		}
	}
	for name, e := range map[string]entry{"a key that is no id": {key: "Web 1", value: []byte("{}")}, "no facts": {key: "web", value: []byte("?")}} {
		if err := r.Apply(e); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	failed = errors.New("the database is away")
	if err := r.Refresh(t.Context()); !errors.Is(err, failed) {
		t.Errorf("who is enrolled cannot be asked: %v", err)
	}
}

// TestFresh: who is enrolled is asked when it was not lately.
func TestFresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		var told atomic.Int64
		r := roster.New(func(context.Context) ([]fleet.PeelID, error) { asked++; return nil, nil }, nil)
		for range 5 {
			if err := r.Fresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.Soon(func() { told.Add(1) })
			time.Sleep(time.Second)
		}
		if asked != 3 || told.Load() != 5 {
			t.Errorf("in five seconds it was asked %d times, and told %d times", asked, told.Load())
		}
		for range 5 {
			r.Soon(func() { told.Add(1) })
		}
		time.Sleep(time.Second)
		if told.Load() != 6 {
			t.Errorf("those who asked at once were told %d times", told.Load()-5)
		}
	})
}
