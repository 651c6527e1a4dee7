package member_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/member"
)

var from = netip.MustParseAddr("192.0.2.7")

// desk is one whose gift is small, at a time that the test sets.
func desk(db *database.DB, now *atomic.Int64, ready error) *member.Desk {
	return member.NewDesk(member.Deps{
		DB: db, Ready: func([]string) error { return ready }, Now: func() time.Time { return time.Unix(now.Load(), 0) },
		Gift: func(_ context.Context, roles []string, host string, others []member.Joined) (member.Gift, error) {
			g := member.Gift{Pin: "sha256:x", Cluster: host, Streams: len(others) == 0, Files: []member.File{{Path: "pki/ca.crt", Data: []byte("x")}}}
			for _, o := range others {
				g.Routes = append(g.Routes, o.Route)
			}
			return g, nil
		},
	})
}

func TestATokenLetsOneServerIn(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, member.Migrations(), func(t *testing.T, db *database.DB) {
		t.Parallel()
		var now atomic.Int64
		now.Store(1_700_000_000)
		d := desk(db, &now, nil)
		token, err := d.CreateToken(t.Context(), member.TokenRequest{Roles: []string{"bus"}, By: "anna"})
		if err != nil || !slices.Equal(token.Roles, []string{"bus"}) || token.Expires.Sub(time.Unix(now.Load(), 0)) != member.DefaultTTL {
			t.Fatalf("%+v, %v", token, err)
		}
		var got atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				gift, err := d.Join(t.Context(), member.Request{Token: token.Secret, Host: "bus2", ClusterPort: 6222}, from, "rind1")
				switch {
				case err == nil && gift.Has("bus") && !gift.Has("master") && gift.Cluster == "rind1":
					got.Add(1)
				case !errs.Is(err, errs.Gone):
					t.Errorf("%+v, %v", gift, err)
				}
			})
		}
		all.Wait()
		if got.Load() != 1 {
			t.Errorf("%d servers came in with one token", got.Load())
		}
		_, err = d.Join(t.Context(), member.Request{Token: token.Secret}, from, "")
		if !errs.Is(err, errs.Gone) || !strings.Contains(err.Error(), "bus2 192.0.2.7") {
			t.Errorf("a second time: %v", err)
		}

		token, err = d.CreateToken(t.Context(), member.TokenRequest{})
		if err != nil {
			t.Fatal(err)
		}
		gift, err := d.Join(t.Context(), member.Request{Token: token.Secret}, from, "rind1")
		if err != nil || !slices.Equal(gift.Routes, []string{"192.0.2.7:6222"}) || gift.Streams {
			t.Errorf("the next server is told %v, %v", gift, err)
		}
		token, err = d.CreateToken(t.Context(), member.TokenRequest{TTL: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		now.Add(61)
		if _, err = d.Join(t.Context(), member.Request{Token: token.Secret}, from, ""); !errs.Is(err, errs.Gone) || !strings.Contains(err.Error(), "expired") {
			t.Errorf("too late: %v", err)
		}
	})
}

func TestWhoComesWithoutAToken(t *testing.T) {
	t.Parallel()
	db := databasetest.Open(t, database.SQLite, member.Migrations())
	var now atomic.Int64
	d := desk(db, &now, nil)
	token, err := d.CreateToken(t.Context(), member.TokenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{"x", "rindserver_", token.Secret[:len(token.Secret)-1] + "x", token.Secret + "0", strings.Replace(token.Secret, "rindserver_", "rindenroll_", 1)} {
		if _, err := d.Join(t.Context(), member.Request{Token: wrong}, from, ""); !errs.Is(err, errs.Unauthorized) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	if _, err := d.Join(t.Context(), member.Request{}, from, ""); !errs.Is(err, errs.Invalid) {
		t.Errorf("nothing: %v", err)
	}
	if _, err := d.Join(t.Context(), member.Request{Token: token.Secret}, from, ""); err != nil {
		t.Errorf("the right one, after the wrong ones: %v", err)
	}
	limited := false
	for range 40 {
		_, err := d.Join(t.Context(), member.Request{Token: "x"}, from, "")
		limited = limited || errs.Is(err, errs.RateLimited)
	}
	if !limited {
		t.Error("anybody may try as often as he likes")
	}
}

func TestTokensThatAreNotMade(t *testing.T) {
	t.Parallel()
	db := databasetest.Open(t, database.SQLite, member.Migrations())
	var now atomic.Int64
	for name, req := range map[string]member.TokenRequest{
		"too long": {TTL: 25 * time.Hour}, "no role": {Roles: []string{"root"}}, "a master without a bus": {Roles: []string{"master"}},
	} {
		if _, err := desk(db, &now, nil).CreateToken(t.Context(), req); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	not := errors.New("not now")
	if _, err := desk(db, &now, not).CreateToken(t.Context(), member.TokenRequest{}); !errors.Is(err, not) {
		t.Errorf("when no server can join: %v", err)
	}
}

func TestGiftsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "/etc/passwd", "../x", "keys/../../x", "keys/", "rind.yaml", "keys/a/b", `keys/a\b`, "keys/.x", "pki/../keys/x"} {
		g := member.Gift{Files: []member.File{{Path: path, Data: []byte("x")}}}
		if err := g.Validate(); err == nil {
			t.Errorf("%q was taken", path)
		}
	}
	ok := member.Gift{Files: []member.File{{Path: "keys/operator.nk", Data: []byte("x")}}}
	if err := ok.Validate(); err != nil {
		t.Error(err)
	}
}
