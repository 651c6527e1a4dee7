package access

import (
	"net/netip"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/errs"
)

// TestChangedMeanwhile checks that a session does not begin when the password
// was changed, or the user deleted, while the old password was being hashed.
func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, Migrations(), func(t *testing.T, db *database.DB) {
		t.Parallel()
		ctx := t.Context()
		s := New(Config{}, Deps{DB: db, Now: time.Now})
		root := Principal{Name: machineAdmin, Role: Admin, Via: ViaSocket}
		for _, name := range []string{"ada", "vera"} {
			if err := s.CreateUser(ctx, root, name, "correct horse", Admin); err != nil {
				t.Fatal(err)
			}
		}
		before, err := s.credential(ctx, "vera")
		if err != nil {
			t.Fatal(err)
		}
		vera := Principal{Name: "vera", Role: Admin, Via: ViaSession}
		if err := s.setPassword(ctx, vera, "vera", "a third horse", "the hash of an older one"); !errs.Is(err, errs.Unauthorized) {
			t.Errorf("a change by a password that is not in force any more: %v", err)
		}
		for what, change := range map[string]func() error{
			"password": func() error { return s.SetPassword(ctx, root, "vera", "another horse") },
			"user":     func() error { return s.DeleteUser(ctx, root, "vera") },
		} {
			if err := change(); err != nil && !errs.Is(err, errs.NotFound) {
				t.Fatal(err)
			}
			if _, _, err := s.begin(ctx, "vera", before, netip.Addr{}); !errs.Is(err, errs.Unauthorized) {
				t.Errorf("after the change of the %s: %v", what, err)
			}
		}
	})
}
