package e2e

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// world is a running `rind server` on free ports of the loopback interface. It
// needs no privilege.
type world struct {
	server
	proc          *proc
	url, bus, pin string
}

func newWorld(t *testing.T) world {
	t.Helper()
	w := world{server: newServer(t)}
	w.proc = start(t, "", nil, program(t, "rind"), "server", "--data", w.dir,
		"--listen", "127.0.0.1:0", "--bus-listen", "127.0.0.1:0", "--set", "log.format=json")
	eventually(t, 30*time.Second, "the server serves", func() error {
		if w.proc.ended() {
			t.Fatalf("rind server ended: %s", w.proc.errOut)
		}
		for line := range strings.Lines(w.proc.errOut.String()) {
			var said struct{ Msg, URL, Bus, Pin string }
			if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "server started" {
				w.url, w.bus, w.pin = said.URL, said.Bus, said.Pin
				return nil
			}
		}
		return fmt.Errorf("it has not said so: %s", w.proc.errOut)
	})
	return w
}

// token makes an enrollment token.
func (w world) token(t *testing.T, args ...string) string {
	t.Helper()
	var out struct{ Token string }
	a := w.rind(t, append([]string{"enroll", "token", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(a.out), &out); err != nil || out.Token == "" {
		t.Fatalf("enroll token: %+v, %v", a, err)
	}
	return out.Token
}

// addTap adds a tap and returns its token.
func (w world) addTap(t *testing.T, name string) string {
	t.Helper()
	var out struct{ Token string }
	a := w.rind(t, "tap", "add", name, "-o", "json")
	if err := json.Unmarshal([]byte(a.out), &out); err != nil || out.Token == "" {
		t.Fatalf("tap add: %+v, %v", a, err)
	}
	return out.Token
}

// enroll runs `rind-peel enroll` without waiting for an approval.
func (w world) enroll(t *testing.T, dir, id, token string, more ...string) answer {
	t.Helper()
	args := []string{"enroll", "--data", dir, "--id", id, "--server", w.url, "--pin", w.pin, "--no-wait"}
	if token != "" {
		args = append(args, "--token", token)
	}
	return command(t, nil, program(t, "rind-peel"), append(args, more...)...)
}

// enrolled makes a peel that does not run yet, and returns its folder.
func (w world) enrolled(t *testing.T, id string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), id)
	if a := w.enroll(t, dir, id, w.token(t, "--auto-approve")); a.code != 0 {
		t.Fatalf("enrolling %s: %+v", id, a)
	}
	return dir
}

// peel enrolls a peel and runs it until it is connected.
func (w world) peel(t *testing.T, id string) (*proc, string) {
	t.Helper()
	dir := w.enrolled(t, id)
	p := start(t, "", nil, program(t, "rind-peel"), "run", "--data", dir)
	// A test may have stopped it.
	t.Cleanup(func() { _ = p.Process.Signal(syscall.SIGCONT) })
	eventually(t, 20*time.Second, id+" is connected", func() error {
		if got := w.presence(t, id); got != "connected" {
			return fmt.Errorf("it is %q: %s", got, p.errOut)
		}
		return nil
	})
	return p, dir
}

// presence is a peel's in `rind peel list`, "" when it is not there.
func (w world) presence(t *testing.T, id string) string {
	t.Helper()
	var all []struct{ ID, Presence string }
	a := w.rind(t, "peel", "list", "-o", "json")
	if err := json.Unmarshal([]byte(a.out), &all); a.code != 0 || err != nil {
		t.Fatalf("peel list: %+v, %v", a, err)
	}
	for _, p := range all {
		if p.ID == id {
			return p.Presence
		}
	}
	return ""
}

// state is what bad input must not change.
func (w world) state(t *testing.T) map[string]any {
	t.Helper()
	all := map[string]any{}
	for _, path := range []string{"/peels", "/enrollments", "/flows?from=720h", "/dns?from=720h", "/tls?from=720h", "/taps", "/tokens", "/users", "/jobs"} {
		var v any
		if err := w.get(path, &v); err != nil {
			t.Fatal(err)
		}
		all[path] = v
	}
	return all
}

// unchanged runs a case of bad input and compares what there was before it.
func (w world) unchanged(t *testing.T, name string, bad func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		before := w.state(t)
		bad(t)
		if diff := cmp.Diff(before, w.state(t)); diff != "" {
			t.Errorf("it changed something (-before +after):\n%s", diff)
		}
	})
}

// client asks the server over HTTPS. Whose certificate it is does not matter
// to what is asked here.
func client() *http.Client {
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		// HTTP/1.1, since TLSClientConfig is given: over it the refusal of a body
		// gets lost more easily than over HTTP/2, which taps prefer.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
}

// refused checks that a program ended with 1, without a trace of a panic, and
// said these words.
func refused(t *testing.T, a answer, words ...string) {
	t.Helper()
	if a.code != 1 {
		t.Errorf("exit code %d, want 1: %+v", a.code, a)
	}
	if strings.Contains(a.err, "goroutine ") {
		t.Errorf("it panicked: %s", a.err)
	}
	says(t, a.err, words...)
}
