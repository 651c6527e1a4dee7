package live_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rind-project/rind/internal/web/live"
)

func TestMergeCoalesces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		a, b := make(chan struct{}), make(chan struct{})
		out := live.Merge(ctx, time.Second, live.Source{Name: "a", Changes: a}, live.Source{Name: "b", Changes: b})
		begin := time.Now()
		a <- struct{}{}
		if got := <-out; !slices.Equal(got, []string{"a"}) || time.Since(begin) != 0 {
			t.Fatalf("the first change: %v after %s", got, time.Since(begin))
		}
		for range 50 {
			b <- struct{}{}
			a <- struct{}{}
		}
		if got := <-out; !slices.Equal(got, []string{"a", "b"}) || time.Since(begin) != time.Second {
			t.Fatalf("many changes: %v after %s, want one after 1s", got, time.Since(begin))
		}
		close(a)
		select {
		case got := <-out:
			t.Fatalf("nothing changed, but %v", got)
		case <-time.After(time.Minute):
		}
		b <- struct{}{}
		if got := <-out; !slices.Equal(got, []string{"b"}) {
			t.Fatalf("after a source closed: %v", got)
		}
		cancel()
		if _, ok := <-out; ok {
			t.Fatal("open after its context ended")
		}
	})
}

func TestEvery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		out := live.Every(ctx, 10*time.Second)
		begin := time.Now()
		<-out
		if time.Since(begin) != 10*time.Second {
			t.Errorf("ticked after %s", time.Since(begin))
		}
		cancel()
		for range out {
		}
	})
}

// TestStream checks that no text can begin another event, and that Stop ends
// the connections and refuses new ones.
func TestStream(t *testing.T) {
	t.Parallel()
	hub := live.New(nil)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := hub.Open(w, r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		defer s.Close()
		if err := s.Send("news", "one\r\n\r\nevent: close\rdata: x\n"); err != nil {
			t.Error(err)
		}
		<-s.Context().Done()
	}))
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	go func() {
		time.Sleep(50 * time.Millisecond)
		_ = hub.Stop(context.Background())
	}()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	const want = "event: news\ndata: one\ndata: \ndata: event: close\ndata: data: x\ndata: \n\n"
	if resp.Header.Get("Content-Type") != "text/event-stream" || !strings.HasSuffix(string(body), want) {
		t.Errorf("%q, want it to end in %q", body, want)
	}
	again, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Body.Close() }()
	if again.StatusCode != http.StatusServiceUnavailable || again.Header.Get("Retry-After") == "" {
		t.Errorf("after Stop: %d %v", again.StatusCode, again.Header)
	}
}
