package access_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/lifecycle"
)

var _ lifecycle.Component = (*access.Service)(nil)

// TestJanitor checks that Start deletes what has expired, and that starting
// and stopping may be repeated.
func TestJanitor(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		if err := f.Stop(ctx); err != nil {
			t.Errorf("stop without start: %v", err)
		}
		f.people(t)
		f.login(t, "vera")
		f.clock.add(13 * time.Hour)
		kept, _ := f.login(t, "olga")
		for range 2 {
			if err := f.Start(ctx); err != nil {
				t.Fatal(err)
			}
		}
		sessions := func() (n int) {
			if err := f.db.QueryRow(ctx, `SELECT COUNT(*) FROM access_sessions`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		for deadline := time.Now().Add(20 * time.Second); sessions() != 1; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d sessions are left, want 1", sessions())
			}
		}
		if _, err := f.Session(ctx, kept); err != nil {
			t.Errorf("a living session was deleted: %v", err)
		}
		for range 2 {
			if err := f.Stop(ctx); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestTouch checks that reading a session writes at most once a minute.
func TestTouch(t *testing.T) {
	t.Parallel()
	f := newFixture(databasetest.Open(t, database.SQLite, access.Migrations()))
	f.people(t)
	secret, _ := f.login(t, "vera")
	used := func() (us int64) {
		if err := f.db.QueryRow(t.Context(), `SELECT used_at FROM access_sessions`).Scan(&us); err != nil {
			t.Fatal(err)
		}
		return us
	}
	first := used()
	for _, step := range []struct {
		wait time.Duration
		want int64
	}{{59 * time.Second, 0}, {time.Second, 60}, {30 * time.Second, 60}, {30 * time.Second, 120}} {
		f.clock.add(step.wait)
		if _, err := f.Session(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		if got := (used() - first) / 1_000_000; got != step.want {
			t.Errorf("it was used %d s after the login, want %d", got, step.want)
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	if err := access.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	for key, c := range map[string]access.Config{
		"session_ttl":  {SessionTTL: time.Second, SessionIdle: time.Hour, TokenTTL: time.Hour, AuditKeep: 24 * time.Hour},
		"session_idle": {SessionTTL: time.Hour, SessionIdle: 1e18, TokenTTL: time.Hour, AuditKeep: 24 * time.Hour},
		"token_ttl":    {SessionTTL: time.Hour, SessionIdle: time.Hour, TokenTTL: -1, AuditKeep: 24 * time.Hour},
		"audit_keep":   {SessionTTL: time.Hour, SessionIdle: time.Hour, TokenTTL: time.Hour, AuditKeep: time.Hour},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), key+" is") {
			t.Errorf("%s: got %v", key, err)
		}
	}
}

// TestWriteError checks the status and the shape for each kind.
func TestWriteError(t *testing.T) {
	t.Parallel()
	for kind, want := range map[errs.Kind]int{
		errs.Internal: 500, errs.Invalid: 400, errs.NotFound: 404, errs.Conflict: 409, errs.Unauthorized: 401, errs.Forbidden: 403,
		errs.TooLarge: 413, errs.RateLimited: 429, errs.Unavailable: 503, errs.Gone: 410,
	} {
		w := httptest.NewRecorder()
		access.WriteError(w, errs.New(kind, `say "this"`))
		message := `say \"this\"`
		if kind == errs.Internal {
			message = "the server failed to do this; its log says why"
		}
		body := `{"error":{"kind":"` + kind.String() + `","message":"` + message + `"}}` + "\n"
		if w.Code != want || w.Body.String() != body || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%v: %d %s, want %d %s", kind, w.Code, w.Body, want, body)
		}
		if challenge := w.Header().Get("WWW-Authenticate"); (challenge != "") != (want == 401) {
			t.Errorf("%v: the challenge is %q", kind, challenge)
		}
	}
}
