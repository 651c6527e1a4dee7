package health

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func fine(context.Context) error   { return nil }
func broken(context.Context) error { return errors.New("no route to database") }

func TestReady(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		checks map[string]func(context.Context) error
		want   Status
	}{
		"none": {nil, Status{Ready: true, Checks: []Result{}}},
		"all pass": {map[string]func(context.Context) error{"b": fine, "a": fine},
			Status{Ready: true, Checks: []Result{{Name: "a", OK: true}, {Name: "b", OK: true}}}},
		"one fails": {map[string]func(context.Context) error{"b": broken, "a": fine},
			Status{Checks: []Result{{Name: "a", OK: true}, {Name: "b", Error: "no route to database"}}}},
		"one panics": {map[string]func(context.Context) error{"a": func(context.Context) error { panic("oh") }},
			Status{Checks: []Result{{Name: "a", Error: "the check panicked: oh"}}}},
		"a long error": {map[string]func(context.Context) error{"a": func(context.Context) error { return errors.New(strings.Repeat("x", 9999)) }},
			Status{Checks: []Result{{Name: "a", Error: strings.Repeat("x", maxMessage)}}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := New()
			for name, check := range test.checks {
				c.Add(name, broken)
				c.Add(name, check) // replaces
			}
			if diff := cmp.Diff(test.want, c.Ready(t.Context())); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestReadyIsRememberedForAMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		c := New()
		c.Add("a", func(context.Context) error { runs.Add(1); return nil })
		for range 5 {
			go c.Ready(t.Context())
		}
		synctest.Wait()
		if n := runs.Load(); n != 1 {
			t.Errorf("%d runs for requests at once", n)
		}
		time.Sleep(remember)
		c.Ready(t.Context())
		if n := runs.Load(); n != 2 {
			t.Errorf("%d runs after a while", n)
		}
	})
}

// A check that hangs fails in time, is not started twice, and comes back.
func TestHangingCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		release := make(chan struct{})
		c := New()
		c.Add("a", func(context.Context) error { runs.Add(1); <-release; return nil })
		for _, want := range []string{"no answer within 3s", "an earlier run of this check still hangs"} {
			s := c.Ready(t.Context())
			if s.Ready || s.Checks[0].Error != want {
				t.Errorf("got %+v, want %q", s, want)
			}
			time.Sleep(remember)
		}
		if n := runs.Load(); n != 1 {
			t.Errorf("started %d times", n)
		}
		close(release)
		synctest.Wait()
		if s := c.Ready(t.Context()); !s.Ready {
			t.Errorf("does not come back: %+v", s)
		}
	})
}

// A caller who leaves does not leave a failure behind for the next one.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	c := New()
	c.Add("a", func(ctx context.Context) error { return ctx.Err() })
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if s := c.Ready(gone); !s.Ready {
		t.Errorf("got %+v", s)
	}
}

func TestHandler(t *testing.T) {
	t.Parallel()
	passing, failing, draining := New(), New(), New()
	nobody := func(*http.Request) bool { return false }
	passing.Add("database", fine)
	failing.Add("database", broken)
	draining.Add("database", fine)
	draining.Ready(t.Context()) // what is remembered does not hide the draining
	draining.SetDraining()
	tests := map[string]struct {
		handler      http.Handler
		method, path string
		code         int
		body         string
	}{
		"alive":     {failing.Handler(), "GET", "/healthz", 200, `{"alive":true}`},
		"ready":     {passing.Handler(), "GET", "/readyz", 200, `{"ready":true,"checks":[{"name":"database","ok":true}]}`},
		"not ready": {failing.Handler(), "GET", "/readyz", 503, `{"ready":false,"checks":[{"name":"database","ok":false,"error":"no route to database"}]}`},
		"not ready, to strangers": {failing.Readyz(nobody), "GET", "/readyz", 503,
			`{"ready":false,"checks":[{"name":"database","ok":false,"error":"told to those who are signed in"}]}`},
		"and then to friends": {failing.Handler(), "GET", "/readyz", 503, `{"ready":false,"checks":[{"name":"database","ok":false,"error":"no route to database"}]}`},
		"ready, to strangers": {passing.Readyz(nobody), "GET", "/readyz", 200, `{"ready":true,"checks":[{"name":"database","ok":true}]}`},
		"draining":            {draining.Handler(), "GET", "/readyz", 503, `{"ready":false,"draining":true,"checks":[{"name":"database","ok":true}]}`},
		"alive and draining":  {draining.Handler(), "GET", "/healthz", 200, `{"alive":true}`},
		"only asking":         {passing.Handler(), "POST", "/readyz", 405, ""},
		"nothing else":        {passing.Handler(), "GET", "/", 404, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			test.handler.ServeHTTP(w, httptest.NewRequest(test.method, test.path, http.NoBody))
			if w.Code != test.code {
				t.Errorf("got %d, want %d", w.Code, test.code)
			}
			if test.body == "" {
				return
			}
			if got := strings.TrimSpace(w.Body.String()); got != test.body {
				t.Errorf("got %s, want %s", got, test.body)
			}
			if !json.Valid(w.Body.Bytes()) || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("headers: %v", w.Header())
			}
		})
	}
}
