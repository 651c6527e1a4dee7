package server

import (
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/fleet/master/guard"
	"github.com/rind-project/rind/internal/fleet/peel"
)

// agent runs a peel of an identity, with a log of its own.
func agent(t *testing.T, id *enroll.Identity) (*peel.Peel, *logBuffer) {
	t.Helper()
	log := &logBuffer{}
	p := peel.New(peel.Config{ReconnectWait: 200 * time.Millisecond}, peel.Deps{Log: slog.New(slog.NewTextHandler(log, nil)), Identity: id, Version: "test"})
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop(t.Context()) })
	eventually(t, 20*time.Second, "the agent connects", p.Connected)
	return p, log
}

// clone copies an identity's folder, as a copy of the host's disk has it.
func clone(t *testing.T, from string) *enroll.Identity {
	t.Helper()
	to := filepath.Join(dataDir(t), "copy")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			err = os.Chmod(path, 0o600)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	id, err := enroll.LoadIdentity(to)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// audited returns the details of the entries of an action about an object.
func (r *running) audited(t *testing.T, action, object string) []string {
	t.Helper()
	var out struct{ Entries []access.Entry }
	r.call(t, r.token(t, access.Admin), http.MethodGet, "/audit?limit=1000", nil, &out)
	var all []string
	for _, e := range out.Entries {
		if e.Action == action && e.Object == object {
			all = append(all, e.By+": "+e.Detail)
		}
	}
	return all
}

// enrollIn enrolls a host whose folder is known.
func (r *running) enrollIn(t *testing.T, id fleet.PeelID, dir string, auto bool) (*enroll.Identity, error) {
	t.Helper()
	var made struct{ Token string }
	r.call(t, r.token(t, access.Admin), http.MethodPost, "/enroll-tokens", map[string]any{"auto_approve": auto}, &made)
	return enroll.Join(t.Context(), enroll.JoinConfig{Server: r.URL(), Pin: r.Pin(), Token: made.Token, ID: id, Dir: dir})
}

// A cloned host: both are refused and reported until one is enrolled again.
func TestACopiedIdentity(t *testing.T) {
	t.Parallel()
	cfg := testConfig(dataDir(t))
	cfg.Master.CopyGrace = 2 * time.Second
	r := start(t, cfg)
	dir := dataDir(t)
	id, err := r.enrollIn(t, "web-01", dir, true)
	if err != nil {
		t.Fatal(err)
	}
	bystander, _ := agent(t, r.enroll(t, "db"))
	first, firstLog := agent(t, id)
	second, secondLog := agent(t, clone(t, dir))
	eventually(t, 30*time.Second, "both are out", func() bool { return !first.Connected() && !second.Connected() })
	var rec enroll.Record
	r.call(t, r.token(t, access.Viewer), http.MethodGet, "/enrollments/web-01", nil, &rec)
	if rec.State != enroll.Suspended || rec.Suspension == nil || rec.Suspension.Reason != fleet.SuspendedCopy ||
		fmt.Sprint(rec.Suspension.Addresses) != "[127.0.0.1 127.0.0.1]" {
		t.Fatalf("the enrollment is %s, %+v", rec.State, rec.Suspension)
	}
	var shown fleet.Peel
	r.call(t, r.token(t, access.Viewer), http.MethodGet, "/peels/web-01", nil, &shown)
	if shown.Presence != fleet.CutOff || shown.Suspension == nil {
		t.Errorf("the peel is %s, %+v", shown.Presence, shown.Suspension)
	}
	for name, log := range map[string]*logBuffer{"first": firstLog, "second": secondLog} {
		eventually(t, 40*time.Second, "the "+name+" one's own log says why", func() bool {
			return strings.Contains(log.String(), "level=ERROR") && strings.Contains(log.String(), "two hosts use the key of web-01")
		})
	}
	const wayOut = "rind enroll approve --replace web-01"
	if !strings.Contains(r.log.String(), "level=ERROR msg=\"a peel is kept off the bus\" peel=web-01") || !strings.Contains(r.log.String(), wayOut) {
		t.Error("the server's log does not say it, or not what to do")
	}
	if got := r.audited(t, "peel.suspend", "web-01"); len(got) != 1 || !strings.Contains(got[0], wayOut) || !strings.HasPrefix(got[0], "master ") {
		t.Errorf("the trail says %q", got)
	}
	a := r.call(t, r.token(t, access.Admin), http.MethodPost, "/enrollments/web-01/approve", nil, nil)
	if a.status != http.StatusConflict || !strings.Contains(a.body, wayOut) {
		t.Errorf("approving it as it is: %d %s", a.status, a.body)
	}
	if first.Connected() || second.Connected() || !bystander.Connected() {
		t.Error("one of the two is back, or a third one was hit")
	}

	// One host is enrolled again, with a key of its own.
	again := dataDir(t)
	if _, err := r.enrollIn(t, "web-01", again, true); err == nil {
		t.Fatal("a second key got the id without an approval")
	}
	if a := r.call(t, r.token(t, access.Admin), http.MethodPost, "/enrollments/web-01/approve", map[string]any{"replace": true}, nil); a.status != http.StatusOK {
		t.Fatalf("approve --replace: %d %s", a.status, a.body)
	}
	fresh, err := r.enrollIn(t, "web-01", again, true)
	if err != nil {
		t.Fatal(err)
	}
	back, _ := agent(t, fresh)
	time.Sleep(3 * time.Second) // longer than the grace
	if !back.Connected() || first.Connected() || second.Connected() {
		t.Error("the one that was enrolled again is out, or one of the copies is in")
	}
}

// Events are taken by another room than what else a peel says, and count as
// that does.
func TestAPeelThatFloodsEvents(t *testing.T) {
	t.Parallel()
	cfg := testConfig(dataDir(t))
	cfg.Master.Flood = guard.Limits{Messages: 200, Bytes: 8 * config.MiB, Seconds: 2, CutOff: time.Hour}
	r := start(t, cfg)
	nc := connected(t, r.enroll(t, "evil"))
	for end := time.Now().Add(60 * time.Second); nc.Status() == nats.CONNECTED && time.Now().Before(end); {
		if err := nc.Publish(bus.EventSubject("evil", "noise"), []byte(`{"id":"x"}`)); err != nil {
			break
		}
	}
	admin := r.token(t, access.Admin)
	var shown fleet.Peel
	eventually(t, 20*time.Second, "it is shown as cut off, for what the master counted", func() bool {
		r.call(t, admin, http.MethodGet, "/peels/evil", nil, &shown)
		return shown.Presence == fleet.CutOff && shown.Suspension != nil && strings.Contains(shown.Suspension.Detail, "were dropped")
	})
	if got := r.audited(t, "peel.suspend", "evil"); len(got) != 1 {
		t.Errorf("the trail says %q", got)
	}
}

// connected connects as a peel does, without its runtime.
func connected(t *testing.T, id *enroll.Identity) *nats.Conn {
	t.Helper()
	cfg, err := id.BusConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Once = true
	nc, err := bus.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// A flood on a whole server: cut off, reported, and lifted by approve.
func TestAFloodingPeel(t *testing.T) {
	t.Parallel()
	cfg := testConfig(dataDir(t))
	cfg.Master.Flood = guard.Limits{Messages: 200, Bytes: 8 * config.MiB, Seconds: 2, CutOff: time.Hour}
	r := start(t, cfg)
	id := r.enroll(t, "evil")
	good, _ := agent(t, r.enroll(t, "good"))
	nc := connected(t, id)
	for end := time.Now().Add(60 * time.Second); nc.Status() == nats.CONNECTED && time.Now().Before(end); {
		if err := nc.Publish(bus.HeartbeatSubject("evil"), []byte("{}")); err != nil {
			break
		}
	}
	admin := r.token(t, access.Admin)
	var shown fleet.Peel
	eventually(t, 20*time.Second, "it is shown as cut off", func() bool {
		r.call(t, admin, http.MethodGet, "/peels/evil", nil, &shown)
		return shown.Presence == fleet.CutOff && shown.Suspension != nil && shown.Suspension.Reason == fleet.SuspendedFlood
	})
	if got := r.audited(t, "peel.suspend", "evil"); len(got) != 1 || !strings.Contains(got[0], "rind enroll approve evil") {
		t.Errorf("the trail says %q", got)
	}
	if a := r.call(t, admin, http.MethodGet, "/peels", nil, nil); !strings.Contains(a.body, `"cut off"`) {
		t.Errorf("the list says %s", a.body)
	}
	if !good.Connected() {
		t.Error("the other peel is out")
	}
	if err := id.Renew(t.Context()); err == nil || !strings.Contains(err.Error(), "kept off the bus until") {
		t.Errorf("renewing: %v", err)
	}
	if a := r.call(t, admin, http.MethodPost, "/enrollments/evil/approve", nil, nil); a.status != http.StatusOK {
		t.Fatalf("approve: %d %s", a.status, a.body)
	}
	back, _ := agent(t, id) // it renews by itself
	if !back.Connected() {
		t.Error("it does not come back")
	}
}
