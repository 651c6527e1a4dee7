package compile_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/settings"
	"github.com/rind-project/rind/internal/fleet/settings/compile"
	"github.com/rind-project/rind/internal/fleet/target"
)

// fleetOf is 100,000 peels with 50 layers, of which each is for some of them.
func fleetOf(b *testing.B) (*compile.Compiler, *source, *target.Index) {
	b.Helper()
	src := &source{}
	c, err := compile.New(compile.Deps{Source: src})
	if err != nil {
		b.Fatal(err)
	}
	x := target.NewIndex(target.WithSettings(c.Values))
	c.Attach(x)
	for n := range 100_000 {
		id := fleet.PeelID(fmt.Sprintf("web-%02d-%05d", n%100, n))
		x.Put(id, &fleet.Facts{ID: id, OS: []string{"Debian", "Alpine", "Ubuntu"}[n%3], OSVersion: fmt.Sprint(n % 7)})
	}
	src.set(layersOf(0)...)
	if err := c.Settle(context.Background()); err != nil {
		b.Fatal(err)
	}
	return c, src, x
}

func layersOf(version int) []settings.Layer {
	layers := []settings.Layer{{Name: "base", Target: "*", Data: fmt.Sprintf("version: %d\nfill: %04000d", version, 0)}, {Name: "deb", Target: "G@os:Debian", Data: "role: deb"}}
	for n := range 48 {
		layers = append(layers, settings.Layer{Name: fmt.Sprintf("group-%02d", n), Target: fmt.Sprintf("web-%02d-* and G@os_version:%d", n, n%7), Data: fmt.Sprintf("group: %d", n)})
	}
	return layers
}

// BenchmarkSettle is a changed layer of all 100,000 peels.
func BenchmarkSettle(b *testing.B) {
	c, src, _ := fleetOf(b)
	for n := 1; b.Loop(); n++ {
		src.set(layersOf(n)...)
		if err := c.Settle(context.Background()); err != nil {
			b.Fatal(err)
		}
		if changed, _, _ := c.Drain(); len(changed) != 100_000 {
			b.Fatal(len(changed))
		}
	}
}

// BenchmarkSettingInTarget asks all 100,000 peels for a setting.
func BenchmarkSettingInTarget(b *testing.B) {
	_, _, x := fleetOf(b)
	expr, err := target.Parse("I@role:deb")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, n, err := x.Query(context.Background(), expr, "", 1); err != nil || n != 33_334 {
			b.Fatal(n, err)
		}
	}
}
