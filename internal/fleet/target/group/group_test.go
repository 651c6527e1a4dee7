package group_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/target"
	"github.com/rind-project/rind/internal/fleet/target/group"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newStore(db *database.DB, check func(context.Context, target.Groups) error) (*group.Store, *int) {
	changes := new(int)
	return group.New(group.Deps{DB: db, Now: func() time.Time { return now }, Check: check, Changed: func() { *changes++ }}), changes
}

func TestGroups(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, group.Migrations(), func(t *testing.T, db *database.DB) {
		t.Parallel()
		s, changes := newStore(db, nil)
		ctx := t.Context()
		set := func(name, text string) {
			t.Helper()
			if _, err := s.Set(ctx, name, text, "anna"); err != nil {
				t.Fatal(err)
			}
		}
		set("web", "web-*")
		set("eu.web", "N@web and *-eu")
		set("web", "web-* and G@os:Debian")
		want := []fleet.Group{
			{Name: "eu.web", Target: "N@web and *-eu", By: "anna", Changed: now},
			{Name: "web", Target: "web-* and G@os:Debian", By: "anna", Changed: now},
		}
		all, err := s.List(ctx)
		if diff := cmp.Diff(want, all); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if g, err := s.Show(ctx, "web"); err != nil || g != want[1] {
			t.Errorf("%+v %v", g, err)
		}
		if n, err := s.Revision(ctx); err != nil || n != 3 || *changes != 3 {
			t.Errorf("revision %d, told %d times, %v", n, *changes, err)
		}
		text, ok, err := s.Find(ctx, "eu.web")
		if text != "N@web and *-eu" || !ok || err != nil {
			t.Errorf("%q %v %v", text, ok, err)
		}
		if _, ok, err := s.Find(ctx, "nobody"); ok || err != nil {
			t.Errorf("a group that is not there: %v %v", ok, err)
		}
		if err := s.Delete(ctx, "eu.web"); err != nil {
			t.Error(err)
		}
		if err := s.Delete(ctx, "web"); err != nil {
			t.Error(err)
		}
		if all, err := s.List(ctx); err != nil || len(all) != 0 {
			t.Errorf("%v %v", all, err)
		}
	})
}

// What cannot be answered is refused, with the column, and changes nothing.
func TestRefusals(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, group.Migrations(), func(t *testing.T, db *database.DB) {
		t.Parallel()
		s, changes := newStore(db, nil)
		ctx := t.Context()
		for _, g := range [][2]string{{"a", "a-*"}, {"b", "N@a"}, {"c", "x or N@b"}} {
			if _, err := s.Set(ctx, g[0], g[1], "anna"); err != nil {
				t.Fatal(err)
			}
		}
		before, _ := s.List(ctx)
		for _, tt := range []struct {
			name, target string
			kind         errs.Kind
			column       int
			says         string
		}{
			{"a", "b-* or N@c", errs.Invalid, 8, "circle: c → b → a → c"},
			{"a", "N@a", errs.Invalid, 1, "a → a"},
			{"d", "web-* and N@none", errs.NotFound, 11, `no named group "none"`},
			{"d", "web-* and", errs.Invalid, 10, ""},
			{"", "web-*", errs.Invalid, 0, "is missing"},
			{"a/b", "web-*", errs.Invalid, 0, "cannot stand in the name"},
			{strings.Repeat("x", 65), "web-*", errs.Invalid, 0, "at most 64"},
			{"d", strings.Repeat("x", target.MaxExpr+1), errs.TooLarge, 0, "at most"},
			{"a", strings.TrimSuffix(strings.Repeat("x or ", 255), " or "), errs.Conflict, 0, "could not be answered after that"},
		} {
			_, err := s.Set(ctx, tt.name, tt.target, "anna")
			if errs.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s = %.40s: %v", tt.name, tt.target, err)
			}
			if se, ok := errors.AsType[*target.SyntaxError](err); tt.column > 0 && (!ok || se.Column != tt.column) {
				t.Errorf("%s = %.40s: column %+v", tt.name, tt.target, se)
			}
		}
		if err := s.Delete(ctx, "b"); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "group c") {
			t.Errorf("deleting a group that is named: %v", err)
		}
		if err := s.Delete(ctx, "nobody"); !errs.Is(err, errs.NotFound) {
			t.Errorf("deleting nothing: %v", err)
		}
		after, err := s.List(ctx)
		if diff := cmp.Diff(before, after); err != nil || diff != "" || *changes != 3 {
			t.Errorf("%v, %d changes (-before +after):\n%s", err, *changes, diff)
		}
		if n, err := s.Revision(ctx); err != nil || n != 3 {
			t.Errorf("revision %d %v", n, err)
		}
	})
}

// Whoever else names groups may refuse a change.
func TestCheck(t *testing.T) {
	t.Parallel()
	db := databasetest.Open(t, database.SQLite, group.Migrations())
	s, changes := newStore(db, func(_ context.Context, g target.Groups) error {
		if _, ok := g("web"); !ok {
			return errs.New(errs.Conflict, "a layer needs web")
		}
		return nil
	})
	if _, err := s.Set(t.Context(), "web", "web-*", "anna"); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "web"); !errs.Is(err, errs.Conflict) || *changes != 1 {
		t.Errorf("%v, %d changes", err, *changes)
	}
	if _, ok, err := s.Find(t.Context(), "web"); !ok || err != nil {
		t.Errorf("it is gone: %v", err)
	}
}
