package server

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/network/report"
)

// The rooms test what they refuse in depth; here the same arrives through TLS,
// guard and mux, says what to do, and changes nothing.
func TestBadReports(t *testing.T) {
	t.Parallel()
	r := start(t, testConfig(dataDir(t)))
	token, revoked, other := r.addTap(t, "walker"), r.addTap(t, "gone"), r.addTap(t, "other")
	if a := r.call(t, r.token(t, access.Admin), http.MethodDelete, "/taps/gone", nil, nil); a.status != http.StatusNoContent {
		t.Fatalf("revoking: %d %s", a.status, a.body)
	}
	good := walkReport(t)
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	bomb := z.EncodeAll(make([]byte, 300<<20), []byte("RIND\x01"))
	for name, test := range map[string]struct {
		token  string
		body   []byte
		kind   string
		status int
		says   string
	}{
		"no token":      {"", good, report.ContentType, 401, "rind tap add"},
		"garbage":       {"rindtap_x", good, report.ContentType, 401, "rind tap add"},
		"an API token":  {r.token(t, access.Admin), good, report.ContentType, 401, "rind tap add"},
		"revoked":       {revoked, good, report.ContentType, 403, "revoked"},
		"another tap's": {other, good, report.ContentType, 403, "own token"},
		"too large":     {token, make([]byte, 9<<20), report.ContentType, 413, "at most"},
		"bomb":          {token, bomb, report.ContentType, 413, "expands"},
		"truncated":     {token, good[:len(good)-10], report.ContentType, 400, "cut off"},
		"empty":         {token, nil, report.ContentType, 400, "no report"},
		"of JSON":       {token, []byte("{}"), report.JSONType, 403, "own token"},
		"of text":       {token, []byte("{}"), "text/plain", 415, report.ContentType},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.URL()+"/api/v1/reports", bytes.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", test.kind)
		if test.token != "" {
			req.Header.Set("Authorization", "Bearer "+test.token)
		}
		if a := r.send(t, req); a.status != test.status || !isErrorJSON(a) || !strings.Contains(a.body, test.says) {
			t.Errorf("%s: %d, want %d and %q: %.300s", name, a.status, test.status, test.says, a.body)
		}
	}
	if n := r.flows(t); n != 0 {
		t.Errorf("%d flows are there, and no report was good", n)
	}
	if got := r.deliver(t, token); got != `{"status":"committed"}`+"\n" {
		t.Errorf("the good report after all: %s", got)
	}
}

// enrolled lists the ids of who is enrolled just now; the master's list of
// peels may be a moment older.
func (r *running) enrolled(t *testing.T) []fleet.PeelID {
	t.Helper()
	var out struct{ Enrollments []enroll.Record }
	if a := r.call(t, r.token(t, access.Viewer), http.MethodGet, "/enrollments?state=approved", nil, &out); a.status != http.StatusOK {
		t.Fatalf("listing the enrollments: %d %s", a.status, a.body)
	}
	var ids []fleet.PeelID
	for _, rec := range out.Enrollments {
		ids = append(ids, rec.ID)
	}
	return ids
}

func TestBadEnrollments(t *testing.T) {
	t.Parallel()
	r := start(t, testConfig(dataDir(t)))
	admin := r.token(t, access.Admin)
	var fresh struct{ Token string }
	r.call(t, admin, http.MethodPost, "/enroll-tokens", map[string]any{"auto_approve": true}, &fresh)
	join := func(change func(*enroll.JoinConfig)) error {
		cfg := enroll.JoinConfig{Server: r.URL(), Pin: r.Pin(), Token: fresh.Token, ID: "web-01", Dir: dataDir(t)}
		change(&cfg)
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		_, err := enroll.Join(ctx, cfg)
		return err
	}
	refused := func(name, says string, change func(*enroll.JoinConfig)) {
		t.Helper()
		if err := join(change); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", name, err, says)
		}
	}
	refused("a wrong token", "rind enroll token", func(c *enroll.JoinConfig) { c.Token += "x" })
	refused("no token", "rind enroll token", func(c *enroll.JoinConfig) { c.Token = "" })
	refused("a wrong pin", "pin", func(c *enroll.JoinConfig) { c.Pin = "sha256:" + strings.Repeat("00", 32) })
	refused("the bus port", "", func(c *enroll.JoinConfig) { c.Server = "https://" + r.BusAddr() })
	for _, id := range []fleet.PeelID{"*", ">", "a.b", "{{name()}}", fleet.PeelID(strings.Repeat("a", 64)), "Web"} {
		refused("the id "+string(id), "id", func(c *enroll.JoinConfig) { c.ID = id })
	}
	if peels := r.enrolled(t); len(peels) != 0 {
		t.Errorf("the peels are %v", peels)
	}
	if err := join(func(*enroll.JoinConfig) {}); err != nil {
		t.Errorf("the token did not survive what was refused: %v", err)
	}
	refused("a token used twice", "used", func(c *enroll.JoinConfig) { c.ID = "web-02" })
	if peels := r.enrolled(t); len(peels) != 1 {
		t.Errorf("the peels are %v", peels)
	}
}
