package cli_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/api/apitest"
	"github.com/rind-project/rind/internal/cli"
	"github.com/rind-project/rind/internal/fleet"
)

// hosts serves a fleet in which web answers, bad fails and dead is silent.
func hosts(t *testing.T) *apitest.Server {
	t.Helper()
	s := apitest.Start(t, nil)
	add := func(id fleet.PeelID, r *fleet.Return) {
		s.Fleet.Add(fleet.Peel{ID: id, Presence: fleet.Connected}, apitest.Always(r))
	}
	add("web-01", apitest.OK(true))
	add("web-02", apitest.OK(map[string]any{"total": 2048, "names": []string{"a", "b"}, "empty": []int{}}))
	add("bad-01", &fleet.Return{ExitCode: 3, Error: "exit code 3", Value: []byte(`{"stdout":"","stderr":"no such file\n","exit_code":3}`)})
	add("bad-02", &fleet.Return{Reason: "clock", Error: "the clock is off by an hour"})
	add("dead-01", nil)
	add("dead-02", nil)
	add("sh-01", apitest.OK(map[string]any{"stdout": "one\ntwo\n", "stderr": "warned\n", "exit_code": 0, "stdout_cut": 2048}))
	return s
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	s := hosts(t)
	term := on(t, s)
	for target, want := range map[string]int{
		"web-*": 0, "none-*": 1, "bad-*": 2, "dead-*": 3, "[bd]*": 4,
	} {
		for _, format := range []string{"table", "json", "yaml", "ndjson"} {
			if code, stdout, stderr := term.run(t, "run", "-o", format, target, "test.ping"); code != want {
				t.Errorf("%s -o %s: exit code %d, want %d\n%s%s", target, format, code, want, stdout, stderr)
			}
		}
	}
	// The job is the same when it is shown later.
	jobs, err := s.Fleet.Jobs(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs {
		want := map[string]int{"web-*": 0, "bad-*": 2, "dead-*": 3, "[bd]*": 4}[j.Target]
		if code, stdout, _ := term.run(t, "job", "show", j.JID); code != want {
			t.Errorf("job show of %s: exit code %d, want %d\n%s", j.Target, code, want, stdout)
		}
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	term := on(t, hosts(t))
	golden(t, "run", term.transcript(t,
		[]string{"run", "web-*", "facts.get", "mem"},
		[]string{"*", "cmd.run", "true"},
		[]string{"-o", "json", "bad-01", "cmd.run", "true"},
		[]string{"run", "web-02", "test.ping", "-o", "yaml"},
		[]string{"run", "[bd]*-01", "test.ping", "-o", "ndjson"},
		[]string{"none", "test.ping"},
		[]string{"run", "web-01"},
		[]string{"run", "web-01", "cmd.run", "ls", "-l"},
		[]string{"run", "web-01", "cmd.run", "--", "ls", "-l"},
		[]string{"job", "list"},
	))
}

func TestLongListsOfMissingAreWrapped(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	var names []string
	for _, a := range "abcdefghij" {
		for _, b := range "abcdefghij" {
			id := "host-" + string(a) + string(b)
			names = append(names, id)
			s.Fleet.Add(fleet.Peel{ID: fleet.PeelID(id)}, apitest.Always(nil))
		}
	}
	code, stdout, _ := on(t, s).run(t, "*", "test.ping")
	if code != 3 || !strings.HasPrefix(stdout, "100 targeted, 0 answered, 0 failed, 100 missing: host-aa,") {
		t.Errorf("exit code %d:\n%s", code, stdout)
	}
	for _, line := range strings.Split(stdout, "\n") {
		if len(line) > 100 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
	if got := strings.Fields(strings.ReplaceAll(stdout, ",", "")); len(got) < 100 || strings.Join(got[len(got)-100:], " ") != strings.Join(names, " ") {
		t.Errorf("the names are %q", got)
	}
}

// TestHostileOutput prints what a host under somebody's control may say.
func TestHostileOutput(t *testing.T) {
	t.Parallel()
	const evil = "\x1b]0;owned\x07\x1b[2J\u009b31m\u202egnp.exe\r\x00\x7f\xff end"
	s := apitest.Start(t, nil)
	s.Fleet.Add(fleet.Peel{ID: "a", OS: evil, Version: evil, Address: evil, Facts: &fleet.Facts{Hostname: evil, OS: evil}},
		apitest.Always(apitest.OK(map[string]string{"stdout": evil + "\n\tkept", "stderr": evil, evil: evil})))
	s.Fleet.Add(fleet.Peel{ID: "b"}, apitest.Always(&fleet.Return{Error: evil, Reason: evil}))
	term := on(t, s)
	for _, args := range [][]string{
		{"*", "cmd.run", "x"}, {"*", "facts.items"}, {"*", "facts.items", "-o", "json"}, {"*", "facts.items", "-o", "yaml"}, {"*", "facts.items", "-o", "ndjson"},
		{"peel", "list"}, {"peel", "list", "-o", "yaml"}, {"peel", "show", "a"}, {"peel", "show", "a", "-o", "json"}, {"job", "show", "01980c6e-0000-7000-8000-000000000001"},
		{"job", "list"}, {"peel", "show", evil}, {evil, "test.ping"},
	} {
		_, stdout, stderr := term.run(t, args...)
		for i, r := range stdout + stderr {
			if r < 0x20 && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r == '\u202e' {
				t.Errorf("%q writes %U at %d:\n%q", args, r, i, stdout+stderr)
				break
			}
		}
		if !utf8.ValidString(stdout + stderr) {
			t.Errorf("%q writes bytes that are no UTF-8", args)
		}
	}
	if _, stdout, _ := term.run(t, "a", "cmd.run", "x"); !strings.Contains(stdout, `\x1b]0;owned\x07`) || !strings.Contains(stdout, "\n    \tkept") {
		t.Errorf("what was neutralised is not shown:\n%s", stdout)
	}
}

func TestColour(t *testing.T) {
	t.Parallel()
	term := on(t, hosts(t))
	yes := true
	term.opts.Colour = &yes
	if _, stdout, _ := term.run(t, "*-01", "test.ping"); !strings.Contains(stdout, "\x1b[32mweb-01:\x1b[0m true") || !strings.Contains(stdout, "\x1b[31mbad-01: FAILED") {
		t.Errorf("no colours:\n%q", stdout)
	}
	term.opts.Colour = nil
	if _, stdout, _ := term.run(t, "*-01", "test.ping"); strings.Contains(stdout, "\x1b") {
		t.Errorf("colours in a file:\n%q", stdout)
	}
}

// TestACutStreamIsTakenUpAgain cuts the connection after each return.
func TestACutStreamIsTakenUpAgain(t *testing.T) {
	t.Parallel()
	s := hosts(t)
	var opened atomic.Int32
	proxy := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/events") {
			w = &cutter{ResponseWriter: w, events: int(opened.Add(1))}
		}
		s.Handler.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	term := remote(t, proxy, s.Token(t, access.Operator))
	code, stdout, stderr := term.run(t, "*", "test.ping")
	if code != 4 || strings.Count(stdout, "web-01:") != 1 || strings.Count(stdout, "sh-01:") != 1 || opened.Load() < 3 {
		t.Errorf("exit code %d after %d streams:\n%s%s", code, opened.Load(), stdout, stderr)
	}
}

// cutter lets a number of events through, then cuts the connection.
type cutter struct {
	http.ResponseWriter
	events int
}

func (c *cutter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *cutter) Write(p []byte) (int, error) {
	for rest := p; bytes.HasPrefix(rest, []byte("event: ")); {
		if c.events--; c.events < 0 { // what came before it passes
			_, _ = c.ResponseWriter.Write(p[:len(p)-len(rest)])
			_ = http.NewResponseController(c.ResponseWriter).Flush()
			panic(http.ErrAbortHandler)
		}
		_, rest, _ = bytes.Cut(rest, []byte("\n\n"))
	}
	return c.ResponseWriter.Write(p)
}

func TestInterruptedRunSaysThatTheJobGoesOn(t *testing.T) {
	t.Parallel()
	s := hosts(t)
	s.Fleet.Gate = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		s.Fleet.Gate <- struct{}{} // the first return is on its way
		cancel()
	}()
	term := on(t, s)
	var stdout, stderr strings.Builder
	opts := term.opts
	opts.Out, opts.Err, opts.Env = &stdout, &stderr, func(name string) string { return term.env[name] }
	code := cli.Main(ctx, []string{"run", "*", "test.ping"}, opts)
	if code != 1 || !strings.Contains(stderr.String(), "rind: interrupted; the job goes on, see: rind job watch 01980c6e-") {
		t.Errorf("exit code %d: %s%s", code, stdout.String(), stderr.String())
	}
}
