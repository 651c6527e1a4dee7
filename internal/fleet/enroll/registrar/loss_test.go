package registrar_test

import (
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/enroll/registrar"
)

func TestLostBuckets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := newRaw(t, w, "web-01")
	token := w.token(true)
	if err := w.js.DeleteStream(t.Context(), "KV_enroll-challenges"); err != nil {
		t.Fatal(err)
	}
	_, err := h.enroll(token)
	refused(t, err, errs.Unavailable, "try again")
	if err := bus.Ensure(t.Context(), w.js, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := h.enroll(token); err != nil {
		t.Fatalf("after the bucket was made again: %v", err)
	}
	if err := w.js.DeleteStream(t.Context(), "KV_enrollments"); err != nil {
		t.Fatal(err)
	}
	_, err = newRaw(t, w, "web-02").enroll(w.token(true))
	refused(t, err, errs.Unavailable, "rind restore")
	refused(t, w.Revoke(t.Context(), "web-01", "alice"), errs.Unavailable, "rind restore")
}

func TestConfigRefuses(t *testing.T) {
	t.Parallel()
	if err := registrar.DefaultConfig().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for key, change := range map[string]func(*registrar.Config){
		"max_pending": func(c *registrar.Config) { c.MaxPending = 0 },
		"begin_burst": func(c *registrar.Config) { c.BeginBurst = 0 },
		"begin_rate":  func(c *registrar.Config) { c.BeginRate = -1 },
	} {
		cfg := registrar.DefaultConfig()
		change(&cfg)
		err := registrar.New(cfg, registrar.Deps{DB: databasetest.Open(t, database.SQLite, registrar.Migrations())}).Start(t.Context())
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
