// Package compile makes the settings of each peel of the layers, in the memory
// of a master.
//
// Peels for which the same layers are meant share what these are merged to, so
// that a hundred thousand of them cost little more than their kinds. What has
// changed is compiled when somebody asks, or in a moment, whichever is first;
// so an answer is never older than the facts and layers that this master has.
package compile

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/settings"
	"github.com/rind-project/rind/internal/fleet/target"
)

// State is all that settings are compiled from.
type State struct {
	At     int64 // counts the changes
	Groups map[string]string
	Layers []settings.Layer // in their order, with their data
}

// Source keeps the state.
type Source interface {
	At(context.Context) (int64, error)
	Load(context.Context) (State, error)
}

// Peels are the peels that a master knows, with their facts.
type Peels interface {
	Query(ctx context.Context, e *target.Expr, after fleet.PeelID, limit int) (ids []fleet.PeelID, total int, err error)
	Facts(fleet.PeelID) (*fleet.Facts, bool)
}

// Deps are what a compiler needs.
type Deps struct {
	Source  Source
	Log     *slog.Logger
	Metrics prometheus.Registerer // optional
}

// Compiler knows the settings of each peel. Use New.
type Compiler struct {
	deps    Deps
	metrics metrics
	wake    chan struct{}

	settling sync.Mutex // one compiles at a time; taken before mu
	peels    Peels
	layers   []layer
	loaded   bool
	loadedAt int64

	// mu is held for moments only, and never while peels are asked: the index
	// of the peels asks Values while it holds its own lock.
	mu      sync.RWMutex
	at      int64 // of what is compiled
	all     bool  // everything is to be compiled
	touches uint64
	touched map[fleet.PeelID]uint64 // by the number of the last touch
	classes map[string]*class
	of      map[fleet.PeelID]*class
	pending map[fleet.PeelID]string // revisions that peels are to be told of
}

// layer is a layer that has been read.
type layer struct {
	settings.Layer
	expr   *target.Expr
	values settings.Values
}

type metrics struct {
	compiled *prometheus.CounterVec
	notices  prometheus.Counter
	tooLarge prometheus.Gauge
}

// New makes a compiler. It knows nobody until Attach.
func New(deps Deps) (*Compiler, error) {
	c := &Compiler{deps: deps, wake: make(chan struct{}, 1), metrics: metrics{
		compiled: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rind_settings_compiled_total",
			Help: "Times that the settings of peels were compiled, by how it ended: ok, failed."}, []string{"result"}),
		notices: prometheus.NewCounter(prometheus.CounterOpts{Name: "rind_settings_notices_total",
			Help: "Peels that were told of new settings."}),
		tooLarge: prometheus.NewGauge(prometheus.GaugeOpts{Name: "rind_settings_too_large",
			Help: "Kinds of peels whose settings are too large to reach them."}),
	}}
	if deps.Log == nil {
		c.deps.Log = slog.New(slog.DiscardHandler)
	}
	c.forget()
	if deps.Metrics == nil {
		return c, nil
	}
	for _, m := range []prometheus.Collector{c.metrics.compiled, c.metrics.notices, c.metrics.tooLarge} {
		if err := deps.Metrics.Register(m); err != nil {
			return nil, fmt.Errorf("registering the metrics of settings: %w", err)
		}
	}
	return c, nil
}

// Attach says whose settings are compiled.
func (c *Compiler) Attach(peels Peels) {
	c.settling.Lock()
	defer c.settling.Unlock()
	c.peels, c.loaded, c.layers = peels, false, nil
	c.forget()
}

func (c *Compiler) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.all = 0, true
	c.touched, c.pending = map[fleet.PeelID]uint64{}, map[fleet.PeelID]string{}
	c.classes, c.of = map[string]*class{}, map[fleet.PeelID]*class{}
}

// Touch says that something is new about a peel.
func (c *Compiler) Touch(id fleet.PeelID) {
	c.mu.Lock()
	c.touches++
	c.touched[id] = c.touches
	c.mu.Unlock()
	c.Wake()
}

// Wake says that something may be new.
func (c *Compiler) Wake() {
	select {
	case c.wake <- struct{}{}:
	default: // it is awake
	}
}

// Woken yields when something may be new.
func (c *Compiler) Woken() <-chan struct{} { return c.wake }

// Drain returns the peels that are to be told of new settings, with their
// revisions, and whether these are all the peels that there are.
func (c *Compiler) Drain() (changed map[fleet.PeelID]string, everybody bool, at int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed, c.pending = c.pending, map[fleet.PeelID]string{}
	c.metrics.notices.Add(float64(len(changed)))
	return changed, len(changed) == len(c.of), c.at
}

// Values returns the values of a setting of a peel as texts, for targets.
func (c *Compiler) Values(id fleet.PeelID, key string) []string {
	c.mu.RLock()
	cls := c.of[id]
	c.mu.RUnlock()
	if cls == nil {
		return nil
	}
	return cls.texts(key)
}

// Target reads the target of a layer.
func Target(text string, groups map[string]string) (*target.Expr, error) {
	expr, err := target.Parse(text)
	if err != nil {
		return nil, err
	}
	expr, err = expr.Resolve(func(name string) (string, bool) { text, ok := groups[name]; return text, ok })
	if err != nil {
		return nil, err
	}
	return expr, CheckTarget(expr)
}

// CheckTarget refuses what cannot be the target of a layer.
func CheckTarget(expr *target.Expr) error {
	if column := expr.SettingColumn(); column > 0 {
		return errs.New(errs.Invalid, "%w", &target.SyntaxError{Expr: expr.String(), Column: column,
			Msg: "a layer of settings cannot be for those with a setting (I@): settings would depend on themselves"})
	}
	return nil
}
