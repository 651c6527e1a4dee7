package server

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/fleet/natsd"
	"github.com/rind-project/rind/internal/fleet/peel"
)

// monthAway enrolls a peel and gives it the permission that it would hold
// after a month without its server: one that has expired.
func (r *running) monthAway(t *testing.T, id fleet.PeelID) *enroll.Identity {
	t.Helper()
	dir := dataDir(t)
	identity, err := r.enrollIn(t, id, dir, true)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := natsd.OpenKeys(filepath.Join(r.cfg.DataDir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	account, err := keys.Account.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	c := jwt.NewUserClaims(identity.PublicKey())
	c.Name, c.IssuerAccount, c.Expires = string(id), account, time.Now().Add(-29*24*time.Hour).Unix()
	c.SetScoped(true)
	expired, err := c.Encode(keys.Scoped[0])
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "identity.json")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var stored map[string]any
	if err := json.Unmarshal(data, &stored); err != nil {
		t.Fatal(err)
	}
	stored["jwt"] = expired
	if data, err = json.Marshal(stored); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if identity, err = enroll.LoadIdentity(dir); err != nil {
		t.Fatal(err)
	}
	if left := time.Until(identity.Expires()); left > 0 {
		t.Fatalf("the permission is good for %s", left)
	}
	return identity
}

// A peel that was away for a month renews by itself with its enrolled key; one
// that was revoked or replaced meanwhile says in its log to enroll it again.
func TestAwayForAMonth(t *testing.T) {
	t.Parallel()
	r := start(t, testConfig(dataDir(t)))
	admin := r.token(t, access.Admin)
	id := r.monthAway(t, "web-01")
	agent(t, id)
	if left := time.Until(id.Expires()); left < 23*time.Hour {
		t.Errorf("the new permission is good for %s", left)
	}

	revoked := r.monthAway(t, "web-02")
	if a := r.call(t, admin, http.MethodPost, "/enrollments/web-02/revoke", nil, nil); a.status != http.StatusOK {
		t.Fatalf("revoking: %d %s", a.status, a.body)
	}
	replaced := r.monthAway(t, "web-03")
	again := dataDir(t)
	_, _ = r.enrollIn(t, "web-03", again, true) // waits for the approval
	if a := r.call(t, admin, http.MethodPost, "/enrollments/web-03/approve", map[string]any{"replace": true}, nil); a.status != http.StatusOK {
		t.Fatalf("replacing: %d %s", a.status, a.body)
	}
	for says, gone := range map[string]*enroll.Identity{
		"move its peel folder away and use a new token": revoked,
		"enroll with a new token":                       replaced,
	} {
		log := &logBuffer{}
		p := peel.New(peel.Config{ReconnectWait: 200 * time.Millisecond}, peel.Deps{Log: slog.New(slog.NewTextHandler(log, nil)), Identity: gone})
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Stop(t.Context()) })
		eventually(t, 30*time.Second, "the log of "+string(gone.ID)+" says what to do", func() bool {
			return strings.Contains(log.String(), "level=ERROR") && strings.Contains(log.String(), says)
		})
		if p.Connected() {
			t.Errorf("%s is back", gone.ID)
		}
	}
}

// The keys that sign are rotated through the API: by an administrator only
// (the route table says so), in the trail, and with no connection closed.
func TestRotationThroughTheAPI(t *testing.T) {
	t.Parallel()
	r := start(t, testConfig(dataDir(t)))
	admin := r.token(t, access.Admin)
	id := r.enroll(t, "web-01")
	before, err := id.UserJWT()
	if err != nil {
		t.Fatal(err)
	}
	p, log := agent(t, id)
	ping := func(when string) {
		t.Helper()
		var j fleet.Job
		if a := r.call(t, admin, http.MethodPost, "/jobs", map[string]any{"target": "*", "function": "test.ping", "timeout": "20s"}, &j); a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", when, a.status, a.body)
		}
		eventually(t, 20*time.Second, when+" the ping is answered", func() bool {
			var got struct{ Job fleet.Job }
			r.call(t, admin, http.MethodGet, "/jobs/"+j.JID, nil, &got)
			return got.Job.Summary.Answered == 1 && got.Job.Summary.Failed == 0
		})
	}
	ping("before the rotations")
	for _, kind := range []string{fleet.ScopedKey, fleet.MasterKey} {
		var out fleet.KeyRotation
		if a := r.call(t, admin, http.MethodPost, "/keys/"+kind+"/rotate", nil, &out); a.status != http.StatusOK || out.Kind != kind || out.Key == "" || !out.OldUntil.After(out.Since) {
			t.Errorf("%s: %d %s", kind, a.status, a.body)
		}
		if got := r.audited(t, "key.rotate", kind); len(got) != 1 || !strings.Contains(got[0], out.Key) {
			t.Errorf("the trail says %q", got)
		}
		ping("after the rotation of " + kind)
	}
	if err := id.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, err := id.UserJWT()
	if err != nil {
		t.Fatal(err)
	}
	old, _ := jwt.DecodeUserClaims(before)
	fresh, err := jwt.DecodeUserClaims(after)
	if err != nil || fresh.Issuer == old.Issuer {
		t.Errorf("the renewed permission is signed by the old key (%v)", err)
	}
	if !p.Connected() || strings.Contains(log.String(), "disconnected") {
		t.Errorf("the peel lost its connection:\n%s", log)
	}
	if a := r.call(t, admin, http.MethodPost, "/keys/fleet-root/rotate", nil, nil); a.status != http.StatusBadRequest || !strings.Contains(a.body, fleet.ScopedKey) {
		t.Errorf("another key: %d %s", a.status, a.body)
	}
}
