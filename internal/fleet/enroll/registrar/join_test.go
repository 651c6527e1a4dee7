package registrar_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/fleet/enroll/registrar"
)

func TestJoinWithAutoApprove(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, registrar.Migrations(), func(t *testing.T, db *database.DB) {
		w := newWorldWith(t, registrar.DefaultConfig(), db)
		cfg := w.host("web-01", w.token(true))
		id := w.join(cfg)
		if id.ID != "web-01" || !id.FleetRoot.Equal(w.bus.FleetKeys().Root.Public()) || id.Pin != w.ca.Pin() {
			t.Errorf("identity %+v", id)
		}
		if left := time.Until(id.Expires()); left < 23*time.Hour || left > 24*time.Hour {
			t.Errorf("the permission lives another %s", left)
		}
		at := time.Until(id.RenewAt())
		if at < 15*time.Hour || at > 24*time.Hour {
			t.Errorf("renewal in %s", at)
		}
		nc, _ := w.connect(id)
		if err := nc.Publish(bus.HeartbeatSubject("web-01"), []byte("{}")); err != nil || nc.Flush() != nil || nc.LastError() != nil {
			t.Errorf("a heartbeat: %v, %v", err, nc.LastError())
		}
		again, err := enroll.LoadIdentity(cfg.Dir)
		if err != nil || again.PublicKey() != id.PublicKey() {
			t.Fatalf("loading: %v", err)
		}
		w.connect(again)
		for _, f := range []string{"peel.nk", "identity.json"} {
			if info, err := os.Stat(filepath.Join(cfg.Dir, f)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v %v", f, info, err)
			}
		}
		rec, err := w.Show(t.Context(), "web-01")
		if err != nil || rec.State != enroll.Approved || !strings.HasPrefix(rec.By, "token ") || rec.Address != "127.0.0.1" || rec.Fingerprint != enroll.Fingerprint(id.PublicKey()) {
			t.Errorf("record %+v, %v", rec, err)
		}
		// The same command again changes nothing, though the token is used.
		if got := w.join(cfg); got.PublicKey() != id.PublicKey() {
			t.Error("joining again made another key")
		}
	})
}

func TestJoinWaitsForApproval(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := w.host("web-01", w.token(false))
	w.pend(cfg)
	if _, err := enroll.LoadIdentity(cfg.Dir); !errors.Is(err, enroll.ErrPending) {
		t.Errorf("loading while it waits: %v", err)
	}
	cfg.Token, cfg.Wait = "", true // goes on without a token, as after a restart
	done := make(chan error, 1)
	go func() {
		_, err := enroll.Join(t.Context(), cfg)
		done <- err
	}()
	time.Sleep(50 * time.Millisecond)
	if err := w.Approve(t.Context(), "web-01", "admin", false); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("still waiting after the approval")
	}
	if err := w.Approve(t.Context(), "web-01", "admin", false); err != nil {
		t.Errorf("approving again: %v", err)
	}
	ids, err := w.Enrolled(t.Context())
	if err != nil || len(ids) != 1 || ids[0] != "web-01" {
		t.Errorf("enrolled: %v, %v", ids, err)
	}
}

func TestJoinWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := w.host("web-01", w.token(false))
	cfg.Wait = true
	var logged strings.Builder
	cfg.Log = slog.New(slog.NewTextHandler(&logged, nil))
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond) // more than one poll
	defer cancel()
	_, err := enroll.Join(ctx, cfg)
	if !errors.Is(err, enroll.ErrPending) || strings.Contains(err.Error(), "\n") || !strings.HasSuffix(err.Error(), "; run this again to go on waiting") {
		t.Errorf("got %q", err)
	}
	if n := strings.Count(logged.String(), "\n"); n != 1 || !strings.Contains(logged.String(), "rind enroll approve web-01") {
		t.Errorf("%d lines instead of one that says how to approve:\n%s", n, &logged)
	}
}

func TestJoinRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	used := w.token(true)
	w.join(w.host("first", used))
	otherCA, err := pki.OpenCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	short, err := w.CreateToken(t.Context(), registrar.TokenRequest{TTL: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond)
	tests := []struct {
		name   string
		change func(*enroll.JoinConfig)
		kind   errs.Kind
		says   string
	}{
		{"no token", func(c *enroll.JoinConfig) { c.Token = "" }, errs.Unauthorized, "rind enroll token"},
		{"a wrong token", func(c *enroll.JoinConfig) { c.Token = "rindenroll_0123456789abcdef_00" }, errs.Unauthorized, "make another"},
		{"a token with a wrong secret", func(c *enroll.JoinConfig) { c.Token = c.Token[:len(c.Token)-1] + "x" }, errs.Unauthorized, "make another"},
		{"no token at all", func(c *enroll.JoinConfig) { c.Token = "hello" }, errs.Unauthorized, "make another"},
		{"an expired token", func(c *enroll.JoinConfig) { c.Token = short.Secret }, errs.Gone, "expired"},
		{"a used token", func(c *enroll.JoinConfig) { c.Token = used }, errs.Gone, "by first"},
		{"another pin", func(c *enroll.JoinConfig) { c.Pin = otherCA.Pin() }, errs.Unauthorized, "pin"},
		{"no pin", func(c *enroll.JoinConfig) { c.Pin = "" }, errs.Unauthorized, "pin"},
		{"a malformed pin", func(c *enroll.JoinConfig) { c.Pin = "sha256:xyz" }, errs.Invalid, "pin"},
		{"plain http", func(c *enroll.JoinConfig) { c.Server = "http://127.0.0.1:1" }, errs.Invalid, "https"},
		{"nobody there", func(c *enroll.JoinConfig) { c.Server = "https://127.0.0.1:1" }, errs.Unavailable, "cannot reach"},
		{"the bus port", func(c *enroll.JoinConfig) { c.Server = "https://" + w.bus.Addr() }, errs.Invalid, "bus"},
		{"no folder", func(c *enroll.JoinConfig) { c.Dir = "" }, errs.Invalid, "folder"},
		{"a folder below a file", func(c *enroll.JoinConfig) { c.Dir = "/dev/null/x" }, errs.Unavailable, "/dev/null/x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := w.host("web-01", w.token(true))
			tt.change(&cfg)
			_, err := enroll.Join(t.Context(), cfg)
			refused(t, err, tt.kind, tt.says)
		})
	}
	if _, err := w.Show(t.Context(), "web-01"); !errs.Is(err, errs.NotFound) {
		t.Errorf("a refusal left a record: %v", err)
	}
}

func TestClockOffByAnHour(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.join(w.host("old", w.token(true)))
	for ahead, says := range map[time.Duration]string{time.Hour: "1h0m0s behind", -time.Hour: "1h0m0s ahead of"} {
		w.setClock(ahead)
		_, err := enroll.Join(t.Context(), w.host("web-01", w.token(true)))
		refused(t, err, errs.Invalid, says)
		refused(t, err, errs.Invalid, "timedatectl")
		refused(t, id.Renew(t.Context()), errs.Invalid, says)
	}
	w.setClock(4 * time.Minute)
	w.join(w.host("web-01", w.token(true)))
}

func TestRenew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.join(w.host("web-01", w.token(true)))
	before, _ := id.UserJWT()
	time.Sleep(1100 * time.Millisecond) // permissions carry whole seconds
	if err := id.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, _ := id.UserJWT()
	if before == after {
		t.Error("the permission is the same")
	}
	w.connect(id)
}

// TestRenewElsewhere: the server of the enrollment is gone for good, and another
// one of the fleet is on the host of a bus, at the same port.
func TestRenewElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.buses = []string{"tls://127.0.0.2:4222"}
	id := w.join(w.host("web-01", w.token(true)))
	before, _ := id.UserJWT()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(w.url, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	w.web.Close()
	refused(t, id.Renew(t.Context()), errs.Unavailable, "cannot reach https://127.0.0.1:"+port)

	l, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := pki.OpenCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	strange, err := stranger.ServerTLS([]string{"127.0.0.2"})
	if err != nil {
		t.Fatal(err)
	}
	fake := w.serve(l, strange)
	refused(t, id.Renew(t.Context()), errs.Unavailable, "cannot reach https://127.0.0.1:"+port)
	fake.Close()

	if l, err = net.Listen("tcp", "127.0.0.2:"+port); err != nil {
		t.Fatal(err)
	}
	serverTLS, err := w.ca.ServerTLS([]string{"127.0.0.2", pki.BusName})
	if err != nil {
		t.Fatal(err)
	}
	w.serve(l, serverTLS)
	time.Sleep(1100 * time.Millisecond) // permissions carry whole seconds
	if err := id.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after, _ := id.UserJWT(); before == after {
		t.Error("the permission is the same")
	}
	if err := w.Revoke(t.Context(), "web-01", "admin"); err != nil {
		t.Fatal(err)
	}
	refused(t, id.Renew(t.Context()), errs.Gone, "revoked")
}

func TestIDsAreCheckedOnBothHalves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, id := range []string{"*", ">", "a.b", "{{name()}}", "A", "a b", "a\n", strings.Repeat("a", 64)} {
		cfg := w.host(fleet.PeelID(id), w.token(true))
		_, err := enroll.Join(t.Context(), cfg)
		refused(t, err, errs.Invalid, "not a valid peel id")
		if entries, _ := os.ReadDir(cfg.Dir); len(entries) != 0 {
			t.Errorf("%q left %v", id, entries)
		}
	}
	for _, id := range []string{"", "*", ">", "a.b", "{{name()}}", "A", strings.Repeat("a", 64)} {
		h := newRaw(t, w, fleet.PeelID(id))
		_, err := w.Begin(t.Context(), h.begin(w.token(true)), local)
		refused(t, err, errs.Invalid, "not a valid peel id")
		_, err = w.Answer(t.Context(), enroll.AnswerRequest{Challenge: strings.Repeat("0", 32), ID: h.id, PublicKey: h.pub, Signature: make([]byte, 64)}, local)
		refused(t, err, errs.Invalid, "not a valid peel id")
		_, err = w.Poll(t.Context(), enroll.PollRequest{ID: h.id, PublicKey: h.pub, Time: time.Now(), Signature: make([]byte, 64)}, local)
		refused(t, err, errs.Invalid, "not a valid peel id")
		refused(t, w.Approve(t.Context(), h.id, "admin", false), errs.Invalid, "not a valid peel id")
		refused(t, w.Revoke(t.Context(), h.id, "admin"), errs.Invalid, "not a valid peel id")
	}
	if recs, err := w.List(t.Context(), ""); err != nil || len(recs) != 0 {
		t.Errorf("records: %v, %v", recs, err)
	}
}
