package endpoint

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestKeepAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := httptest.NewRecorder()
		events := make(chan Event)
		go func() {
			time.Sleep(40 * time.Second)
			events <- Event{"change", map[string]string{"a": "b\nc"}}
			close(events)
		}()
		ServeStream(t.Context(), w, events)
		want := ": open\n\n: keep-alive\n\n: keep-alive\n\nevent: change\ndata: {\"a\":\"b\\nc\"}\n\n"
		if got := w.Body.String(); got != want || !w.Flushed {
			t.Errorf("got %q (flushed %v), want %q", got, w.Flushed, want)
		}
	})
}

// gone is a client that takes a number of writes and then is no more.
type gone struct {
	http.ResponseWriter
	left int
}

func (g *gone) Write(p []byte) (int, error) {
	if g.left--; g.left < 0 {
		return 0, errors.New("broken pipe")
	}
	return len(p), nil
}

func (g *gone) Flush() {}

func TestAGoneClientEndsTheStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		ServeStream(t.Context(), &gone{httptest.NewRecorder(), 2}, nil)
		if after := time.Since(started); after != 2*KeepAlive {
			t.Errorf("the stream ended after %s", after)
		}
	})
}

func TestAnEndedContextEndsTheStream(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	ServeStream(ctx, w, nil)
	if !strings.HasPrefix(w.Body.String(), ": open") {
		t.Errorf("got %q", w.Body.String())
	}
}

// writes notes what each write held and when it came.
type writes struct {
	http.ResponseWriter
	began time.Time
	all   []string
}

func (w *writes) Write(p []byte) (int, error) {
	w.all = append(w.all, time.Since(w.began).String()+" "+strings.ReplaceAll(string(p), "\n", "|"))
	return len(p), nil
}

func (w *writes) Flush() {}

// What comes right behind an event is sent with what follows it; nothing waits
// longer than a moment, and the last ones go out with the end.
func TestEventsOfAFloodGoTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &writes{ResponseWriter: httptest.NewRecorder(), began: time.Now()}
		events := make(chan Event)
		go func() {
			defer close(events)
			for n := range 5 {
				if n == 0 || n == 4 {
					time.Sleep(50 * time.Millisecond)
				}
				events <- Event{"n", n}
			}
			events <- Event{"n", 5}
		}()
		ServeStream(t.Context(), w, events)
		event := func(n string) string { return "event: n|data: " + n + "||" }
		want := []string{"0s : open||", "50ms " + event("0"), "60ms " + event("1") + event("2") + event("3"), "100ms " + event("4"), "100ms " + event("5")}
		if !slices.Equal(w.all, want) {
			t.Errorf("got %q, want %q", w.all, want)
		}
	})
}

// A flood is not held back until it is a large one.
func TestManyEventsAreSentBeforeTheyAreDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &writes{ResponseWriter: httptest.NewRecorder(), began: time.Now()}
		events := make(chan Event, 100)
		for range 100 {
			events <- Event{"n", strings.Repeat("x", 1024)}
		}
		close(events)
		ServeStream(t.Context(), w, events)
		if time.Since(w.began) != 0 || len(w.all) != 6 { // the comment, the first one, three of 32 KiB, the rest
			t.Errorf("%d writes in %s", len(w.all), time.Since(w.began))
		}
	})
}
