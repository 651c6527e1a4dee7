package endpoint

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
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
