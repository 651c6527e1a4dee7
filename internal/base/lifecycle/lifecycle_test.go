package lifecycle

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// part is a component that writes what happens to it into a shared diary.
type part struct {
	name     string
	diary    *[]string
	startErr error
	onStart  func()
	stopErr  error
	hang     bool // Stop waits for its context
	died     chan error
}

func (p *part) Start(context.Context) error {
	*p.diary = append(*p.diary, "start "+p.name)
	if p.onStart != nil {
		p.onStart()
	}
	return p.startErr
}

func (p *part) Stop(ctx context.Context) error {
	*p.diary = append(*p.diary, "stop "+p.name)
	if p.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	return p.stopErr
}

func (p *part) Died() <-chan error { return p.died }

func group(parts ...*part) (*Group, *[]string) {
	g, diary := NewGroup(slog.New(slog.DiscardHandler)), new([]string)
	for _, p := range parts {
		p.diary = diary
		g.Add(p.name, p)
	}
	return g, diary
}

func expect(t *testing.T, diary *[]string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, *diary); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	g, diary := group(&part{name: "a"}, &part{name: "b"})
	if err := g.Stop(t.Context()); err != nil {
		t.Errorf("stop before start: %v", err)
	}
	if err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := g.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
	expect(t, diary, "start a", "start b", "stop b", "stop a")
}

func TestRollback(t *testing.T) {
	t.Parallel()
	cause, second := errors.New("no port"), errors.New("cannot stop")
	g, diary := group(&part{name: "a", stopErr: second}, &part{name: "b"}, &part{name: "c", startErr: cause}, &part{name: "d"})
	err := g.Start(t.Context())
	if !errors.Is(err, cause) || !errors.Is(err, second) || !strings.Contains(err.Error(), "starting c: no port") {
		t.Errorf("got %v", err)
	}
	if err := g.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	expect(t, diary, "start a", "start b", "start c", "stop b", "stop a")
}

// A start whose context ends goes no further, and still rolls back with time.
func TestCancelledStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		g, diary := group(&part{name: "a", hang: true}, &part{name: "b", onStart: cancel}, &part{name: "c"})
		began := time.Now()
		if err := g.Start(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "starting c: ") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != StopTimeout {
			t.Errorf("a had %s to stop", took)
		}
		expect(t, diary, "start a", "start b", "stop b", "stop a")
	})
}

func TestStopIsBoundedAndGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, diary := group(&part{name: "a"}, &part{name: "b", hang: true}, &part{name: "c", stopErr: errors.New("stuck")})
		if err := g.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		err := g.Stop(t.Context())
		if took := time.Since(began); took != StopTimeout {
			t.Errorf("took %s", took)
		}
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "stopping c: stuck") || !strings.Contains(err.Error(), "stopping b: ") {
			t.Errorf("got %v", err)
		}
		expect(t, diary, "start a", "start b", "start c", "stop c", "stop b", "stop a")
	})
}

func TestRunEndsInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		g, diary := group(&part{name: "a"}, &part{name: "b", died: make(chan error)})
		began := time.Now()
		// The channel stays open and silent: the end comes from the context.
		if err := g.Run(ctx); err != nil {
			t.Errorf("an ordered end is an error: %v", err)
		}
		if took := time.Since(began); took != time.Hour {
			t.Errorf("ended after %s", took)
		}
		expect(t, diary, "start a", "start b", "stop b", "stop a")
	})
}

func TestRunNamesTheDead(t *testing.T) {
	t.Parallel()
	cause := errors.New("disk gone")
	dying := &part{name: "b", died: make(chan error, 1)}
	dying.died <- cause
	closed := &part{name: "a", died: make(chan error)}
	close(closed.died) // ended without an error: no death
	g, diary := group(closed, dying)
	err := g.Run(t.Context())
	if !errors.Is(err, cause) || err.Error() != "b died: disk gone" {
		t.Errorf("got %v", err)
	}
	expect(t, diary, "start a", "start b", "stop b", "stop a")
}

func TestRunFailsToStart(t *testing.T) {
	t.Parallel()
	cause := errors.New("no port")
	g, _ := group(&part{name: "a", startErr: cause})
	if err := g.Run(t.Context()); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}
