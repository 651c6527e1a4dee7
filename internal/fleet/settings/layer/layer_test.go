package layer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/settings"
	"github.com/rind-project/rind/internal/fleet/settings/layer"
	"github.com/rind-project/rind/internal/fleet/target"
	"github.com/rind-project/rind/internal/fleet/target/group"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func stores(db *database.DB) (*layer.Store, *group.Store, *int) {
	changes := new(int)
	var layers *layer.Store
	clock := func() time.Time { return now }
	groups := group.New(group.Deps{DB: db, Now: clock, Check: func(ctx context.Context, g target.Groups) error { return layers.Check(ctx, g) }})
	layers = layer.New(layer.Deps{DB: db, Groups: groups, Now: clock, Changed: func() { *changes++ }})
	return layers, groups, changes
}

func migrations() []database.Migration {
	return slices.Concat(group.Migrations(), layer.Migrations())
}

func TestLayers(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations(), func(t *testing.T, db *database.DB) {
		t.Parallel()
		s, groups, changes := stores(db)
		ctx := t.Context()
		if _, err := groups.Set(ctx, "web", "web-*", "anna"); err != nil {
			t.Fatal(err)
		}
		for _, l := range []settings.Layer{
			{Name: "web", Order: 50, Target: "N@web", Data: "role: web # ümlaut\n"},
			{Name: "base", Order: 0, Target: "*", Data: "role: none"},
			{Name: "also", Order: 50, Target: "web-1", Data: `{"role":"also"}`},
			{Name: "base", Order: 1, Target: "*", Data: "role: nobody", By: "bob"},
		} {
			if _, err := s.Set(ctx, l); err != nil {
				t.Fatal(err)
			}
		}
		all, err := s.List(ctx)
		var got []string
		for _, l := range all {
			got = append(got, fmt.Sprintf("%s %d %d %s", l.Name, l.Order, l.Bytes, l.Data))
		}
		if diff := cmp.Diff([]string{"base 1 12 ", "also 50 15 ", "web 50 20 "}, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		want := settings.Layer{Name: "base", Order: 1, Target: "*", Data: "role: nobody", Bytes: 12, By: "bob", Changed: now}
		if l, err := s.Show(ctx, "base"); err != nil || l != want {
			t.Errorf("%+v %v", l, err)
		}
		state, err := s.Load(ctx)
		if err != nil || state.At != 5 || state.Groups["web"] != "web-*" || len(state.Layers) != 3 || state.Layers[2].Data != "role: web # ümlaut\n" {
			t.Errorf("%+v %v", state, err)
		}
		// A group that a layer names stays, and so does what it may ask for.
		if err := groups.Delete(ctx, "web"); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "the layer web of settings") {
			t.Errorf("deleting a group that a layer names: %v", err)
		}
		if _, err := groups.Set(ctx, "web", "I@role:web", "anna"); !errs.Is(err, errs.Conflict) {
			t.Errorf("a group that asks for settings, in a layer's target: %v", err)
		}
		if err := s.Delete(ctx, "web"); err != nil {
			t.Error(err)
		}
		if err := s.Delete(ctx, "web"); !errs.Is(err, errs.NotFound) {
			t.Errorf("deleting it again: %v", err)
		}
		if err := groups.Delete(ctx, "web"); err != nil {
			t.Error(err)
		}
		if at, err := s.At(ctx); at != 7 || err != nil || *changes != 5 {
			t.Errorf("at %d, told %d times, %v", at, *changes, err)
		}
	})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations(), func(t *testing.T, db *database.DB) {
		t.Parallel()
		s, groups, changes := stores(db)
		ctx := t.Context()
		if _, err := groups.Set(ctx, "by-setting", "web-* or I@role:web", "anna"); err != nil {
			t.Fatal(err)
		}
		for name, tt := range map[string]struct {
			layer  settings.Layer
			kind   errs.Kind
			column int
			says   string
		}{
			"no name":         {settings.Layer{Target: "*"}, errs.Invalid, 0, "is missing"},
			"bad name":        {settings.Layer{Name: "a/b", Target: "*"}, errs.Invalid, 0, "cannot stand"},
			"order":           {settings.Layer{Name: "a", Target: "*", Order: -1}, errs.Invalid, 0, "from 0"},
			"no target":       {settings.Layer{Name: "a"}, errs.Invalid, 1, ""},
			"bad target":      {settings.Layer{Name: "a", Target: "web-* and"}, errs.Invalid, 10, ""},
			"setting":         {settings.Layer{Name: "a", Target: "web-* and I@a:b"}, errs.Invalid, 11, "settings would depend on themselves"},
			"setting, nested": {settings.Layer{Name: "a", Target: "x or not N@by-setting"}, errs.Invalid, 10, "settings would depend on themselves"},
			"no group":        {settings.Layer{Name: "a", Target: "N@none"}, errs.NotFound, 1, "no named group"},
			"bad data":        {settings.Layer{Name: "a", Target: "*", Data: "- x"}, errs.Invalid, 0, "a layer is a map"},
			"ten megabytes":   {settings.Layer{Name: "a", Target: "*", Data: strings.Repeat("x", 10<<20)}, errs.TooLarge, 0, "at most"},
		} {
			_, err := s.Set(ctx, tt.layer)
			if errs.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %v", name, err)
			}
			if se, ok := errors.AsType[*target.SyntaxError](err); tt.column > 0 && (!ok || se.Column != tt.column) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if all, err := s.List(ctx); err != nil || len(all) != 0 || *changes != 0 {
			t.Errorf("%v %v, %d changes", all, err, *changes)
		}
		if _, err := s.Show(ctx, "a"); !errs.Is(err, errs.NotFound) {
			t.Errorf("%v", err)
		}
	})
}

func TestHowMany(t *testing.T) {
	t.Parallel()
	s, _, _ := stores(databasetest.Open(t, database.SQLite, migrations()))
	var err error
	n := 0
	for ; n < settings.MaxLayers && err == nil; n++ {
		_, err = s.Set(t.Context(), settings.Layer{Name: fmt.Sprint("layer", n), Target: "*"})
	}
	if err != nil {
		t.Fatal(n, err)
	}
	if _, err := s.Set(t.Context(), settings.Layer{Name: "more", Target: "*"}); !errs.Is(err, errs.TooLarge) {
		t.Errorf("one more: %v", err)
	}
	if _, err := s.Set(t.Context(), settings.Layer{Name: "layer7", Target: "web"}); err != nil {
		t.Errorf("a change of one: %v", err)
	}
}
