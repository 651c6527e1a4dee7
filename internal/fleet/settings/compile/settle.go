package compile

import (
	"context"
	"fmt"
	"maps"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/settings"
	"github.com/rind-project/rind/internal/fleet/target"
)

// many is how many peels are compiled together rather than one by one.
const many = 2000

// Settle brings the settings of all peels up to date. When a layer cannot be
// read, everything stays as it was.
func (c *Compiler) Settle(ctx context.Context) error {
	c.settling.Lock()
	defer c.settling.Unlock()
	if c.peels == nil {
		return errs.New(errs.Unavailable, "the master does not run, which compiles settings")
	}
	err := c.settle(ctx)
	result := "ok"
	if err != nil {
		result = "failed"
	}
	c.metrics.compiled.WithLabelValues(result).Inc()
	return err
}

func (c *Compiler) settle(ctx context.Context) error {
	if err := c.reload(ctx); err != nil {
		return err
	}
	c.mu.RLock()
	everything := c.all || c.at != c.loadedAt || len(c.touched) > many
	touched := maps.Clone(c.touched)
	c.mu.RUnlock()
	if everything {
		return c.everybody(ctx, touched)
	}
	c.some(touched)
	return nil
}

// settled forgets touches, unless there were others since. mu is held.
func (c *Compiler) settled(touched map[fleet.PeelID]uint64) {
	for id, n := range touched {
		if c.touched[id] == n {
			delete(c.touched, id)
		}
	}
}

// reload reads the layers when there are others.
func (c *Compiler) reload(ctx context.Context) error {
	at, err := c.deps.Source.At(ctx)
	if err != nil {
		return errs.New(errs.Unavailable, "the settings cannot be read just now: %w", err)
	}
	if c.loaded && at == c.loadedAt {
		return nil
	}
	state, err := c.deps.Source.Load(ctx)
	if err != nil {
		return errs.New(errs.Unavailable, "the settings cannot be read just now: %w", err)
	}
	layers := make([]layer, len(state.Layers))
	for n, l := range state.Layers {
		layers[n] = layer{Layer: l}
		if layers[n].expr, err = Target(l.Target, state.Groups); err == nil {
			layers[n].values, err = settings.Parse(l.Data)
		}
		if err != nil {
			return fmt.Errorf("compiling the layer %s: %w", l.Name, err)
		}
		layers[n].Data = ""
	}
	c.layers, c.loaded, c.loadedAt = layers, true, state.At
	return nil
}

// everybody compiles all peels: each layer is asked once whom it is for.
func (c *Compiler) everybody(ctx context.Context, touched map[fleet.PeelID]uint64) error {
	ids, _, err := c.peels.Query(ctx, target.Everyone(), "", 0)
	if err != nil {
		return err
	}
	size := len(newBits(len(c.layers)))
	sets, room := make(map[fleet.PeelID]bits, len(ids)), make(bits, len(ids)*size)
	for n, id := range ids {
		sets[id] = room[n*size : (n+1)*size]
	}
	for n := range c.layers {
		found, _, err := c.peels.Query(ctx, c.layers[n].expr, "", 0)
		if err != nil {
			return fmt.Errorf("compiling the layer %s: %w", c.layers[n].Name, err)
		}
		for _, id := range found {
			if set, known := sets[id]; known { // or it came a moment ago, and is touched
				set.set(n)
			}
		}
	}
	classes := map[string]*class{}
	tooLarge := 0
	of := make(map[fleet.PeelID]*class, len(ids))
	for id, set := range sets {
		cls := classes[string(set)]
		if cls == nil {
			cls = newClass(c.layers, set.places())
			classes[string(set)] = cls
			if cls.err != nil {
				tooLarge++
				c.deps.Log.Error("settings that do not reach their peels", "peel", id, "error", cls.err)
			}
		}
		of[id] = cls
	}
	c.metrics.tooLarge.Set(float64(tooLarge))
	c.replace(classes, of, touched)
	return nil
}

// replace exchanges everything, and notes who has other settings now. At the
// first time nobody is told: peels ask when they connect.
func (c *Compiler) replace(classes map[string]*class, of map[fleet.PeelID]*class, touched map[fleet.PeelID]uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.at == 0 && len(c.of) == 0
	for id, cls := range of {
		if was := c.of[id]; !first && (was == nil || was.revision != cls.revision) {
			c.pending[id] = cls.revision
		}
	}
	c.classes, c.of, c.at, c.all = classes, of, c.loadedAt, false
	c.settled(touched)
	if len(c.pending) > 0 {
		c.Wake()
	}
}

// some compiles the peels that were touched.
func (c *Compiler) some(touched map[fleet.PeelID]uint64) {
	for id, n := range touched {
		var cls *class
		if f, known := c.peels.Facts(id); known {
			cls = c.classOf(id, f)
		}
		c.mu.Lock()
		was := c.of[id]
		if cls == nil {
			delete(c.of, id)
			delete(c.pending, id)
		} else if c.of[id] = cls; was == nil || was.revision != cls.revision {
			c.pending[id] = cls.revision
			c.Wake()
		}
		c.settled(map[fleet.PeelID]uint64{id: n})
		c.mu.Unlock()
	}
}

// classOf finds the class of a peel. Classes that nobody is of any more go
// with the next change of layers.
func (c *Compiler) classOf(id fleet.PeelID, f *fleet.Facts) *class {
	set := newBits(len(c.layers))
	for n := range c.layers {
		if c.layers[n].expr.Match(id, f) {
			set.set(n)
		}
	}
	c.mu.RLock()
	cls := c.classes[string(set)]
	crowded := len(c.classes) > 2*len(c.of)+many
	c.mu.RUnlock()
	if cls != nil {
		return cls
	}
	cls = newClass(c.layers, set.places())
	c.mu.Lock()
	defer c.mu.Unlock()
	if crowded {
		c.classes = map[string]*class{}
		for _, used := range maps.All(c.of) {
			c.classes[string(used.key(len(c.layers)))] = used
		}
	}
	c.classes[string(set)] = cls
	return cls
}

// key is the set of the layers of a class.
func (c *class) key(layers int) bits {
	set := newBits(layers)
	for _, n := range c.places {
		set.set(n)
	}
	return set
}
