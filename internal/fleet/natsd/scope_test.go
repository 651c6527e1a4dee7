package natsd

import (
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
)

// open starts a life of the account with the keys of a folder.
func open(t *testing.T, dir string, at time.Time) (*account, *Keys) {
	t.Helper()
	keys, err := OpenKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	a, err := openAccount(keys, jwt.JetStreamLimits{DiskStorage: 1}, func() time.Time { return at }, "")
	if err != nil {
		t.Fatal(err)
	}
	return a, keys
}

// age rewrites the account as if the newest scoped key had another template.
func age(t *testing.T, a *account) {
	t.Helper()
	for _, s := range a.claims.SigningKeys {
		s.(*jwt.UserScope).Template.Pub.Allow = jwt.StringList{"old.>"}
	}
	if err := a.save(); err != nil {
		t.Fatal(err)
	}
}

func TestNewGrantsGoUnderANewKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now()
	a, keys := open(t, dir, now)
	first := public(keys.Scoped[0])
	age(t, a)

	a, keys = open(t, dir, now.Add(time.Hour))
	if len(keys.Scoped) != 2 || len(a.claims.SigningKeys) != 2 {
		t.Fatalf("%d keys, %d scopes", len(keys.Scoped), len(a.claims.SigningKeys))
	}
	old := a.claims.SigningKeys[first].(*jwt.UserScope)
	if old.Template.Pub.Allow[0] != "old.>" {
		t.Error("the template of the key in use was edited")
	}
	second := a.claims.SigningKeys[public(keys.Scoped[1])].(*jwt.UserScope)
	if second.Template.Pub.Allow.Contains("old.>") {
		t.Error("the new key has the old template")
	}

	a, keys = open(t, dir, now.Add(2*time.Hour))
	if len(keys.Scoped) != 2 || len(a.claims.SigningKeys) != 2 {
		t.Errorf("the next start: %d keys, %d scopes", len(keys.Scoped), len(a.claims.SigningKeys))
	}
	a, _ = open(t, dir, now.Add(27*time.Hour))
	if _, there := a.claims.SigningKeys[first]; there || len(a.claims.SigningKeys) != 1 {
		t.Error("the old key outlived the permissions that it signed")
	}
}

func TestRevocationsAreForgottenWithThePermissions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now()
	a, _ := open(t, dir, now)
	if !a.revoke("UA") || a.revoke("UA") {
		t.Error("revoke does not say what is new")
	}
	if err := a.save(); err != nil {
		t.Fatal(err)
	}
	a, _ = open(t, dir, now.Add(25*time.Hour))
	if len(a.claims.Revocations) != 1 {
		t.Error("forgotten too early")
	}
	a, _ = open(t, dir, now.Add(27*time.Hour))
	if len(a.claims.Revocations) != 0 {
		t.Error("never forgotten")
	}
	if a.unrevoke("UA") {
		t.Error("there was something to take back")
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`10.0.0.1:3 - cid:5 - TLS handshake error: tls: first record does not look like a TLS handshake`: "tls",
		`10.0.0.1:3 - cid:5 - authentication error`:                                                      "auth",
		`10.0.0.1:3 - cid:5 - Publish Violation - User "x", Subject "all.job"`:                           "permission",
		`cid:5 - "Permissions Violation for Publish to \"all.job\""`:                                     "permission",
		`Filestore [KV_facts] could not write: no space left on device`:                                  "",
		`JetStream resource limits exceeded for account "A"`:                                             "",
	} {
		if got, hint := classify(line); got != want || (got == "") != (hint == "") {
			t.Errorf("%s: %q, %q", line, got, hint)
		}
	}
}
