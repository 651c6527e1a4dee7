package tap

import (
	"context"
	"errors"
	"reflect"
	"slices"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/bluetooth"
	"github.com/rind-project/rind/internal/network/pipeline"
	"github.com/rind-project/rind/internal/network/uplink"
)

// Change says what came of a new configuration, by keys.
type Change struct {
	Applied []string // in force now
	Restart []string // that differ and wait for a restart
}

// change is a configuration on its way to the goroutine that cuts.
type change struct {
	cfg  Config
	done chan struct{}
}

// Apply puts another configuration in force while the tap runs. Interfaces that
// are gone are reported and closed, new ones are opened, and those whose
// settings or limits differ are opened anew; the others go on. After an error
// the old configuration is in force as a whole.
func (t *Tap) Apply(ctx context.Context, cfg Config) (Change, error) {
	t.applying.Lock()
	defer t.applying.Unlock()
	if !t.started.Load() {
		return Change{}, errs.New(errs.Unavailable, "the tap has not started yet")
	}
	if err := cfg.Validate(); err != nil {
		return Change{}, err
	}
	old := t.config()
	c := Change{Restart: keepFixed(&cfg, old)}
	token, err := (&tokenSource{cfg: cfg.Node}).Token()
	if err != nil {
		return Change{}, err
	}
	if id, err := cfg.ID(token); err != nil {
		return Change{}, err
	} else if id != t.id {
		return Change{}, errs.New(errs.Invalid, "the token is of tap %q, and this one is %q: restart the tap with a data folder of its own to make it another", id, t.id)
	}
	if err := t.turn(ctx, cfg.Node, old.Node); err != nil {
		return Change{}, err
	}
	t.token.set(cfg.Node)
	t.spool.Bound(int64(cfg.Spool.MaxBytes), cfg.Spool.MaxAge)
	ch := change{cfg, make(chan struct{})}
	select {
	case t.changes <- ch:
	case <-ctx.Done():
		return Change{}, ctx.Err()
	}
	select {
	case <-ch.done:
	case <-ctx.Done():
		return Change{}, ctx.Err()
	}
	c.Applied = differing(old, cfg)
	if cfg.Bluetooth != old.Bluetooth {
		return c, t.watch(ctx, cfg.Bluetooth)
	}
	return c, nil
}

// keepFixed sets what cannot change while the tap runs to what it was, and
// returns the keys that differed.
func keepFixed(cfg *Config, old Config) (keys []string) {
	keep := func(key string, into, was any) {
		to, from := reflect.ValueOf(into).Elem(), reflect.ValueOf(was)
		if !reflect.DeepEqual(to.Interface(), was) {
			keys = append(keys, key)
			to.Set(from)
		}
	}
	keep("name", &cfg.Name, old.Name)
	if cfg.DataName != old.DataName {
		cfg.DataDir = cfg.DataName
	}
	keep("data_dir", &cfg.DataDir, old.DataDir)
	cfg.DataName = old.DataName
	keep("spool.dir", &cfg.Spool.Dir, old.Spool.Dir)
	keep("quarantine", &cfg.Quarantine, old.Quarantine)
	keep("metrics.listen", &cfg.Metrics.Listen, old.Metrics.Listen)
	return keys
}

// differing returns the keys of the sections that differ.
func differing(old, cfg Config) (keys []string) {
	a, b := reflect.ValueOf(old), reflect.ValueOf(cfg)
	for i := range a.NumField() {
		if f := a.Type().Field(i); f.IsExported() && !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			keys = append(keys, f.Tag.Get("yaml"))
		}
	}
	return keys
}

// turn has reports go where the configuration says.
func (t *Tap) turn(ctx context.Context, node, old Node) error {
	if reflect.DeepEqual(node, old) {
		return nil
	}
	if s := t.delivery(); s != nil {
		return s.Turn(uplink.SenderConfig{URLs: node.URLs, Proxy: node.Proxy}, trust(node))
	}
	if len(node.URLs) == 0 {
		return nil
	}
	s, err := NewSender(node, t.spool, t.token.Token, t.deps)
	if err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return err
	}
	t.mu.Lock()
	t.sender = s
	t.mu.Unlock()
	return nil
}

// reshape has the stations be those of the configuration. It belongs to the
// goroutine that cuts. What the ones that go hold, and what the others hold, is
// a report of its own, so that none mixes two configurations. It returns false
// when the context ended.
func (t *Tap) reshape(ctx context.Context, cfg Config) bool {
	old := t.config()
	var keep, gone []*station
	for _, s := range t.stations {
		i := slices.IndexFunc(cfg.Interfaces, func(i Interface) bool { return i.Name == s.name })
		if i >= 0 && cfg.Flow == old.Flow && reflect.DeepEqual(cfg.Capture.Of(cfg.Interfaces[i]), s.settings) {
			keep = append(keep, s)
		} else {
			gone = append(gone, s)
		}
	}
	fresh := slices.DeleteFunc(slices.Clone(cfg.Interfaces), func(i Interface) bool {
		return slices.ContainsFunc(keep, func(s *station) bool { return s.name == i.Name })
	})
	ok := true
	if len(gone) > 0 {
		for _, s := range gone {
			s.cancel()
		}
		parts, all := t.collect(ctx, keep)
		for _, s := range gone {
			parts = append(parts, s.ended())
		}
		ended := parts[len(parts)-len(gone):]
		var retired network.Health
		for i := range ended {
			retired.AddParsers(ended[i].Health.Parsers)
		}
		t.write(parts)
		t.retired.AddParsers(retired.Parsers)
		ok = all
	}
	for _, s := range gone {
		t.metrics.forget(s.name)
	}
	t.mu.Lock()
	t.cfg, t.stations = cfg, keep
	t.mu.Unlock()
	if !slices.Equal(cfg.Parsers.Disabled, old.Parsers.Disabled) {
		for _, s := range keep {
			for _, w := range s.workers {
				w.pipe.Configure(pipeline.Settings{Disabled: cfg.Parsers.Disabled})
			}
		}
	}
	for _, i := range fresh {
		t.begin(ctx, i)
	}
	return ok
}

// begin captures on an interface.
func (t *Tap) begin(ctx context.Context, i Interface) {
	s := newStation(i, t.config(), t.deps, t.metrics, t.due)
	for _, w := range s.workers {
		w.pipe.Prepare(pipeline.Settings{Disabled: t.config().Parsers.Disabled}, t.quarantine)
		t.metrics.events.add(i.Name, w)
	}
	ctx, s.cancel = context.WithCancel(ctx)
	t.mu.Lock()
	t.stations = append(t.stations, s)
	t.mu.Unlock()
	t.working.Go(func() { s.run(ctx) })
}

// watch has Bluetooth be watched as the configuration says.
func (t *Tap) watch(ctx context.Context, cfg bluetooth.Config) error {
	w := bluetooth.New(cfg, t.deps.Log)
	t.mu.Lock()
	old := t.bluetooth
	t.bluetooth = w
	t.mu.Unlock()
	return errors.Join(old.Stop(ctx), w.Start(ctx))
}

// watcher returns who watches Bluetooth.
func (t *Tap) watcher() *bluetooth.Watcher {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bluetooth
}

// config returns the configuration in force.
func (t *Tap) config() Config {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cfg
}

// delivery returns the sender, or nil when there is no node.
func (t *Tap) delivery() *uplink.Sender {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sender
}

// captured returns the stations that there are.
func (t *Tap) captured() []*station {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.stations)
}
