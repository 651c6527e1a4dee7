package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/api/apitest"
	"github.com/rind-project/rind/internal/cli"
	"github.com/rind-project/rind/internal/fleet"
)

func TestBasket(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	s.Basket.All = []fleet.BasketItem{
		{Peel: "db-1", Name: "addr", Size: 13, Updated: before(3 * time.Minute), Configured: true, Value: json.RawMessage(`"192.0.2.7"`)},
		{Peel: "db-1", Name: "ports", Size: 2048, Updated: before(time.Hour), Value: json.RawMessage(`[5432,5433]`)},
		{Peel: "db-2", Name: "addr", Size: 9, Updated: before(time.Second), Configured: true, Value: json.RawMessage(`{"v4":"192.0.2.8","note":"\u001b[2Jevil"}`)},
	}
	golden(t, "basket", on(t, s).transcript(t,
		[]string{"basket", "list"},
		[]string{"basket", "list", "db-2", "-o", "json"},
		[]string{"basket", "list", "--name", "ports"},
		[]string{"basket", "list", "--limit", "1"},
		[]string{"basket", "list", "-G"},
		[]string{"basket", "list", "(db"},
		[]string{"basket", "get", "db-*", "addr"},
		[]string{"basket", "get", "-L", "db-1", "ports", "-o", "ndjson"},
		[]string{"basket", "get", "db-*", "none"},
		[]string{"basket", "get", "db-*"},
	))
	if _, stdout, _ := on(t, s).run(t, "__complete", "basket", "get", "db-*", ""); !strings.HasPrefix(stdout, "addr\nports\n") {
		t.Errorf("completed is %q", stdout)
	}
}

func TestEvent(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	s.Events.Add(fleet.Event{Name: "disk.full", Peel: "web-1", At: before(30 * time.Minute), Data: json.RawMessage(`{"mount": "/", "note":"\u001b[2J"}`)})
	s.Events.Add(fleet.Event{Name: "job/done", By: "anna", At: before(2 * time.Minute), Data: json.RawMessage(`{"jid":"j1"}`)})
	s.Events.Add(fleet.Event{Name: "old", By: "anna", At: before(48 * time.Hour)})
	golden(t, "event", on(t, s).transcript(t,
		[]string{"event", "list"},
		[]string{"event", "list", "disk.*", "-o", "json"},
		[]string{"event", "list", "--limit", "1"},
		[]string{"event", "list", "job/*", "--since", "1m"},
		[]string{"event", "list", "["},
		[]string{"event", "list", "--since", "soon"},
		[]string{"event", "send", "deploy.done", `{"version": 7}`},
		[]string{"event", "send", "note", "disk changed", "-o", "ndjson"},
		[]string{"event", "send", "Deploy"},
		[]string{"event", "send"},
		[]string{"event", "watch", "["},
	))
}

// screen is what somebody reads while a command runs.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// shown waits until the screen shows something.
func (s *screen) shown(t *testing.T, what string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if strings.Contains(s.String(), what) {
			return
		}
	}
	t.Fatalf("not shown: %q in\n%s", what, s.String())
}

// watching runs `rind event watch` until the context ends.
func watching(t *testing.T, ctx context.Context, s *apitest.Server, args ...string) (out, errOut *screen, code chan int) {
	t.Helper()
	term := on(t, s)
	out, errOut, code = &screen{}, &screen{}, make(chan int, 1)
	opts := term.opts
	opts.Out, opts.Err, opts.Now = out, errOut, func() time.Time { return apitest.Now }
	opts.Env = func(name string) string { return term.env[name] }
	go func() { code <- cli.Main(ctx, append([]string{"event", "watch"}, args...), opts) }()
	return out, errOut, code
}

// TestEventWatch: what there was is shown, then what comes; a cut loses
// nothing and shows nothing twice; the end is a good one.
func TestEventWatch(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	s.Events.Add(fleet.Event{Name: "disk.full", Peel: "web-1", At: before(5 * time.Minute), Data: json.RawMessage(`{"n":1}`)})
	s.Events.Cut = 2
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, errOut, code := watching(t, ctx, s, "disk.*", "--since", "10m", "-o", "json")
	out.shown(t, `"n":1`)
	s.Events.Add(fleet.Event{Name: "disk.full", Peel: "web-2", At: apitest.Now, Data: json.RawMessage(`{"n":2}`)})
	out.shown(t, `"n":2`) // behind it the stream is cut
	s.Events.Add(fleet.Event{Name: "net.down", Peel: "web-2", At: apitest.Now})
	s.Events.Add(fleet.Event{Name: "disk.gone", By: "anna", At: apitest.Now, Data: json.RawMessage(`{"n":3}`)})
	out.shown(t, `"n":3`)
	errOut.shown(t, "taken up again")
	cancel()
	if c := <-code; c != 0 {
		t.Errorf("exit code %d: %s", c, errOut)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines:\n%s", len(lines), out)
	}
	for n, line := range lines {
		var e fleet.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil || !strings.Contains(string(e.Data), `"n":`+string(rune('1'+n))) {
			t.Errorf("line %d is %s (%v)", n, line, err)
		}
	}
}

// TestEventWatchIsInterrupted is alone: the signal is for the whole process.
func TestEventWatchIsInterrupted(t *testing.T) {
	s := apitest.Start(t, nil)
	s.Events.Add(fleet.Event{Name: "a", At: apitest.Now})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, errOut, code := watching(t, ctx, s)
	for range 200 { // until the watch is there, which then goes on
		s.Events.Add(fleet.Event{Name: "tick", Peel: "web-1", At: apitest.Now, Data: json.RawMessage(`"a text"`)})
		if strings.Contains(out.String(), "12:00:00  web-1                 tick                  a text\n") {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case c := <-code:
		if c != 0 || errOut.String() != "" || !strings.Contains(out.String(), "tick") {
			t.Errorf("exit code %d: %s%s", c, out, errOut)
		}
	case <-time.After(20 * time.Second):
		t.Error("Ctrl-C does not end it")
	}
}
