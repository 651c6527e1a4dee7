package tap

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/network/tap"
)

// reloader puts configurations in force, one after the other, and remembers
// what came of them.
type reloader struct {
	tap      *tap.Tap
	log      *slog.Logger
	complete func(*Config) error // adds what `rind-tap join` kept

	results *prometheus.CounterVec

	mu     sync.Mutex
	latest Config // as it was read, without that
	fixed  Config // in force for the keys of this process, which need a restart
	state  ConfigStatus
}

// ConfigStatus says what became of the configuration.
type ConfigStatus struct {
	Loaded  time.Time `json:"loaded"`            // the one in force
	Changes uint64    `json:"changes"`           // that were put in force
	Refused uint64    `json:"refused"`           // that were not
	Error   string    `json:"error,omitempty"`   // why the last one was not
	Restart []string  `json:"restart,omitempty"` // keys that differ and wait for a restart
}

func newReloader(t *tap.Tap, deps runDeps, reg prometheus.Registerer) *reloader {
	r := &reloader{tap: t, log: deps.log, complete: deps.complete, latest: deps.cfg, fixed: deps.cfg}
	r.state.Loaded = time.Now()
	r.results = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rind_tap_configurations_total", Help: "Configurations that were read again: applied, or refused because they are broken.",
	}, []string{"result"})
	r.results.WithLabelValues("applied")
	r.results.WithLabelValues("refused")
	reg.MustRegister(r.results)
	return r
}

// feeder is the component that hands other configurations to the reloader.
type feeder struct {
	feed     func(context.Context, *reloader)
	reloader *reloader
	cancel   context.CancelFunc
}

// Start begins.
func (f *feeder) Start(context.Context) error {
	var ctx context.Context
	ctx, f.cancel = context.WithCancel(context.Background())
	go f.feed(ctx, f.reloader)
	return nil
}

// Stop ends. What reads from the opener ends with the process.
func (f *feeder) Stop(context.Context) error {
	if f.cancel != nil {
		f.cancel()
	}
	return nil
}

// reread reads the configuration and puts it in force.
func (r *reloader) reread(ctx context.Context, read func() (Config, error)) {
	cfg, err := read()
	if err != nil {
		r.log.Error("the configuration is broken: the one before stays in force", "error", err)
		r.broken(err.Error())
		return
	}
	r.apply(ctx, cfg)
}

// take takes what the opener says.
func (r *reloader) take(ctx context.Context, p pushed) {
	if p.Config == nil {
		r.broken(p.Error)
		return
	}
	r.apply(ctx, *p.Config)
}

// apply puts a configuration in force.
func (r *reloader) apply(ctx context.Context, cfg Config) {
	r.mu.Lock()
	defer r.mu.Unlock()
	read := cfg
	err := r.complete(&cfg)
	var change tap.Change
	if err == nil {
		change, err = r.tap.Apply(ctx, cfg.Config)
	}
	if err != nil {
		r.refuse(err.Error())
		r.log.Error("the configuration cannot be put in force: the one before stays", "error", err)
		return
	}
	if cfg.Log != r.fixed.Log {
		change.Restart = append(change.Restart, "log")
	}
	if cfg.User != r.fixed.User {
		change.Restart = append(change.Restart, "user")
	}
	r.latest, r.state.Loaded, r.state.Error, r.state.Restart = read, time.Now(), "", change.Restart
	r.state.Changes++
	r.results.WithLabelValues("applied").Inc()
	r.log.Info("the configuration was read again", "changed", change.Applied)
	if len(change.Restart) > 0 {
		r.log.Warn("these keys have changed, and take effect when the tap is started again", "keys", change.Restart)
	}
}

// again puts the latest configuration in force once more, since what `rind-tap
// join` kept has changed.
func (r *reloader) again(ctx context.Context) {
	r.mu.Lock()
	cfg := r.latest
	r.mu.Unlock()
	r.apply(ctx, cfg)
}

// broken notes that the file could not be read; it was logged.
func (r *reloader) broken(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse(text)
}

func (r *reloader) refuse(text string) {
	r.state.Refused++
	r.results.WithLabelValues("refused").Inc()
	r.state.Error = text
}

// status returns what became of the configuration.
func (r *reloader) status() ConfigStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}
