package notice_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/master/notice"
	"github.com/rind-project/rind/internal/fleet/settings"
	"github.com/rind-project/rind/internal/fleet/settings/compile"
	"github.com/rind-project/rind/internal/fleet/target"
)

// source is layers in memory.
type source struct {
	mu    sync.Mutex
	state compile.State
}

func (s *source) At(context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.At, nil
}

func (s *source) Load(context.Context) (compile.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, nil
}

func (s *source) set(layers ...settings.Layer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.At++
	s.state.Layers = layers
}

// TestNotices: what is new for all is told by one message, and what is new for
// some by one for each of them.
func TestNotices(t *testing.T) {
	t.Parallel()
	w := fleettest.Start(t, t.TempDir())
	src := &source{}
	compiler, err := compile.New(compile.Deps{Source: src})
	if err != nil {
		t.Fatal(err)
	}
	peels := target.NewIndex(target.WithSettings(compiler.Values))
	compiler.Attach(peels)
	for _, id := range []fleet.PeelID{"app", "db", "web"} {
		peels.Put(id, &fleet.Facts{ID: id})
		compiler.Touch(id)
	}
	src.set(settings.Layer{Name: "all", Target: "*", Data: "port: 79"})
	if err := compiler.Settle(t.Context()); err != nil { // nobody is told of the first: peels ask when they connect
		t.Fatal(err)
	}
	all := settings.Layer{Name: "all", Target: "*", Data: "port: 80"}
	src.set(all)

	said := make(chan *nats.Msg, 16)
	for _, subject := range []string{bus.NoticeAll, bus.NoticeSubject("app"), bus.NoticeSubject("db"), bus.NoticeSubject("web")} {
		if _, err := w.NC.ChanSubscribe(subject, said); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		notice.New(notice.Deps{Log: fleettest.Log(), NC: w.NC, Settings: compiler}).Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-ended })

	told := func(what string, want ...string) (revisions []string) {
		t.Helper()
		var subjects []string
		for range want {
			select {
			case msg := <-said:
				var n settings.Notice
				if err := json.Unmarshal(msg.Data, &n); err != nil || n.Kind != settings.KindNotice {
					t.Fatalf("%s: %s says %s (%v)", what, msg.Subject, msg.Data, err)
				}
				subjects, revisions = append(subjects, msg.Subject), append(revisions, n.Revision)
			case <-time.After(30 * time.Second):
				t.Fatalf("%s: only %v were told", what, subjects)
			}
		}
		slices.Sort(subjects)
		if diff := cmp.Diff(want, subjects); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
		return revisions
	}
	first := told("for all", bus.NoticeAll)
	src.set(all, settings.Layer{Name: "some", Order: 10, Target: "L@db,web", Data: "port: 81"})
	compiler.Wake()
	for _, revision := range told("for some", bus.NoticeSubject("db"), bus.NoticeSubject("web")) {
		if revision == first[0] {
			t.Error("the revision is the one from before")
		}
	}
	if len(said) > 0 {
		t.Errorf("%s was told too", (<-said).Subject)
	}
}
