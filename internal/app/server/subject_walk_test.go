package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
)

// walk is a server with its peels and a spy on all that is published.
type walk struct {
	*running
	ca      []byte
	a       *wire
	revoked *enroll.Identity
	heard   chan *nats.Msg
	told    map[string]bool // payloads that the spy heard
}

func startWalk(t *testing.T) *walk {
	t.Helper()
	w := &walk{running: start(t, testConfig(dataDir(t))), heard: make(chan *nats.Msg, 1<<16), told: map[string]bool{}}
	a := w.enroll(t, walkingPeel)
	w.enroll(t, otherPeel)
	w.revoked = w.enroll(t, revokedPeel)
	w.ca = a.CAPEM
	w.a = w.dial(t, w.ca, a)
	if complaints, err := w.a.ask(); err != nil || complaints != nil {
		t.Fatalf("an enrolled peel is greeted with %q %v", complaints, err)
	}
	spy, err := w.Server.client.nc.ChanSubscribe(">", w.heard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = spy.Unsubscribe() })
	w.revoke(t)
	return w
}

// revoke revokes a peel that is connected: it is out at once.
func (w *walk) revoke(t *testing.T) {
	t.Helper()
	there := w.dial(t, w.ca, w.revoked)
	if complaints, err := there.ask(); err != nil {
		t.Fatalf("before it was revoked: %q %v", complaints, err)
	}
	a := w.call(t, w.token(t, access.Admin), http.MethodPost, "/enrollments/"+string(revokedPeel)+"/revoke", nil, nil)
	if a.status != http.StatusOK {
		t.Fatalf("revoking: %d %s", a.status, a.body)
	}
	_ = there.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	for {
		if line, err := there.in.ReadString('\n'); err != nil {
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				t.Error("the revoked peel is still connected after 5 s")
			}
			return
		} else if strings.HasPrefix(line, "MSG") {
			t.Errorf("the revoked peel is told %q", line)
		}
	}
}

// meant is the peel in a subject that a caller tries.
var meant = map[string]fleet.PeelID{"nobody": walkingPeel, "own": walkingPeel, "other": otherPeel, "revoked": revokedPeel}

// TestEverySubjectAsEverybody publishes to and subscribes each subject that
// there is, as each kind of caller, on the bus of a whole server.
func TestEverySubjectAsEverybody(t *testing.T) {
	t.Parallel()
	table := subjectTable(t)
	for _, problem := range unlisted(patterns(), table) {
		t.Error(problem)
	}
	w := startWalk(t)
	w.checkStreams(t)
	for _, pattern := range patterns() {
		e := table[pattern]
		if e == nil {
			continue
		}
		all := streams()
		if !strings.Contains(pattern, "{stream}") {
			all = []string{""}
		}
		for _, stream := range all {
			for _, c := range busCallers {
				subject := strings.NewReplacer("{stream}", stream, "{peel}", string(meant[c])).Replace(pattern)
				w.publish(t, c, subject, e["publish "+c] == "allow")
				w.subscribe(t, c, subject, e["subscribe "+c] == "allow")
			}
		}
	}
	// Whatever was tried, the streams are all there and unchanged.
	w.checkStreams(t)
	if a := w.call(t, "", http.MethodGet, "/openapi.json", nil, nil); a.status != http.StatusOK {
		t.Errorf("the server answers %d after the walk", a.status)
	}
}

// checkStreams compares the streams of the server with those that the walk
// knows.
func (w *walk) checkStreams(t *testing.T) {
	t.Helper()
	var names []string
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	list := w.Server.client.js.ListStreams(ctx)
	for info := range list.Info() {
		names = append(names, info.Config.Name)
		if strings.HasPrefix(info.Config.Name, "KV_") && info.Config.Storage == jetstream.FileStorage && !info.Config.DenyDelete {
			t.Errorf("%s can be thinned out", info.Config.Name)
		}
	}
	if err := list.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	if !slices.Equal(names, streams()) {
		t.Errorf("the bus has the streams %v, the walk knows %v", names, streams())
	}
}

// as sends a command as the caller, over a new connection unless it is the
// enrolled peel's, and returns whether the broker refused it.
func (w *walk) as(t *testing.T, c, command, about string) (refused bool) {
	t.Helper()
	if c == "nobody" || c == "revoked" {
		var who *enroll.Identity
		if c == "revoked" {
			who = w.revoked
		}
		stranger := w.dial(t, w.ca, who)
		defer stranger.conn.Close()
		complaints, err := stranger.ask(command)
		if !refusedAtTheDoor(complaints, err) {
			t.Errorf("%s is let in: %q %v", c, complaints, err)
		}
		return err != nil
	}
	complaints, err := w.a.ask(command)
	if err != nil {
		t.Fatalf("%s: the connection ended: %q %v", about, complaints, err)
	}
	for _, line := range complaints {
		if !strings.Contains(line, "Permissions Violation") {
			t.Errorf("%s: %s", about, line)
		}
		refused = true
	}
	return refused
}

// publish checks the broker's answer, and that the message went where the
// answer says.
func (w *walk) publish(t *testing.T, c, subject string, allowed bool) {
	t.Helper()
	about := fmt.Sprintf("publish to %s (%s)", subject, c)
	refused := w.as(t, c, fmt.Sprintf("PUB %s %d\r\n%s", subject, len(about), about), about)
	if refused == allowed {
		t.Errorf("%s: refused is %v", about, refused)
	}
	if err := w.Server.client.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	for len(w.heard) > 0 {
		w.told[string((<-w.heard).Data)] = true
	}
	if w.told[about] != allowed {
		t.Errorf("%s: somebody got the message is %v", about, w.told[about])
	}
}

// subscribe checks the broker's answer, and for what does nothing but arrive
// that a message comes through, or does not.
func (w *walk) subscribe(t *testing.T, c, subject string, allowed bool) {
	t.Helper()
	about := fmt.Sprintf("subscribe to %s (%s)", subject, c)
	if refused := w.as(t, c, "SUB "+subject+" 7", about); refused == allowed {
		t.Errorf("%s: refused is %v", about, refused)
	}
	if c == "nobody" || c == "revoked" {
		return
	}
	if !strings.HasPrefix(subject, "$") && !strings.ContainsAny(subject, "*>") {
		if err := w.Server.client.nc.Publish(subject, []byte(about)); err != nil {
			t.Fatal(err)
		}
		if err := w.Server.client.nc.Flush(); err != nil {
			t.Fatal(err)
		}
		if _, err := w.a.ask(); err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(w.a.got[subject], about); got != allowed {
			t.Errorf("%s: a message arrived is %v", about, got)
		}
	}
	if _, err := w.a.ask("UNSUB 7"); err != nil {
		t.Fatal(err)
	}
}
