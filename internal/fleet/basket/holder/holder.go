package holder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/wait"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// Pace of what a holder does by itself.
const (
	rewatch    = 2 * time.Second // after a watch that ended
	clearEvery = 5 * time.Minute
	markAge    = 10 * time.Minute // a watch that was away for longer begins anew
)

// Holder holds what peels share. Use New.
type Holder struct {
	cfg     Config
	deps    Deps
	log     *slog.Logger
	metrics *metrics
	shelf   *shelf
	rules   *rules

	mu     sync.Mutex
	kv     jetstream.KeyValue
	js     jetstream.JetStream
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// stored is the form of a value in the bucket, under <id>.<name>.
type stored struct {
	Value      json.RawMessage `json:"value"`
	Configured bool            `json:"configured,omitempty"`
}

// New makes a holder that is not started.
func New(cfg Config, deps Deps) *Holder {
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	return &Holder{cfg: cfg, deps: deps, log: deps.Log, shelf: newShelf(), rules: newRules(cfg.Rules, deps.Log, deps.Select)}
}

// Start reads what is stored.
func (h *Holder) Start(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cancel != nil {
		return errors.New("the basket is held already")
	}
	if h.metrics == nil {
		m, err := newMetrics(h.deps.Metrics, h.shelf)
		if err != nil {
			return err
		}
		h.metrics = m
	}
	js := h.deps.JS()
	kv, err := js.KeyValue(ctx, bus.Basket)
	if err != nil {
		return bus.Explain(bus.Basket, err)
	}
	h.js, h.kv = js, kv
	running, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	loaded := make(chan error, 1)
	h.wg.Go(func() { h.follow(running, kv, loaded) })
	h.wg.Go(func() { h.clearMarks(running, js) })
	select {
	case err = <-loaded:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		h.cancel = nil
		cancel()
		h.wg.Wait()
		return fmt.Errorf("reading what peels share: %w", err)
	}
	return nil
}

// Stop ends it. What was acknowledged is stored.
func (h *Holder) Stop(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cancel == nil {
		return nil
	}
	h.cancel()
	h.cancel = nil
	done := make(chan struct{})
	go func() { h.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping the basket: %w", ctx.Err())
	}
}

// bucket returns the bucket while the holder runs.
func (h *Holder) bucket() (jetstream.KeyValue, jetstream.JetStream, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cancel == nil {
		return nil, nil, errs.New(errs.Unavailable, "the basket is not held just now; try again in a moment")
	}
	return h.kv, h.js, nil
}

// follow watches the bucket until the context ends. A watch that ended is begun
// again.
func (h *Holder) follow(ctx context.Context, kv jetstream.KeyValue, loaded chan<- error) {
	for first := true; ctx.Err() == nil; first = false {
		err := h.watch(ctx, kv, loaded)
		if ctx.Err() != nil {
			return
		}
		err = bus.Explain(bus.Basket, err)
		if first {
			select {
			case loaded <- err:
			default:
			}
		}
		h.log.Error("the watch over a bucket ended; it is begun again", "bucket", bus.Basket, "error", err)
		wait.For(ctx, rewatch)
	}
}

var errWatchEnded = errors.New("the bus ended the watch")

// watch reads all that there is onto a shelf of its own, which takes the place
// of what was known before, and goes on with what changes.
func (h *Holder) watch(ctx context.Context, kv jetstream.KeyValue, loaded chan<- error) error {
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = w.Stop() }() // fails only when the connection is gone
	fresh := newShelf()
	to := fresh
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, open := <-w.Updates():
			switch {
			case !open:
				return errWatchEnded
			case e != nil:
				h.take(to, e)
			case to == fresh:
				h.shelf.replace(fresh)
				to = h.shelf
				select {
				case loaded <- nil:
				default:
				}
			}
		}
	}
}

// take puts an entry of the bucket onto a shelf.
func (h *Holder) take(to *shelf, e jetstream.KeyValueEntry) {
	it := item{revision: e.Revision(), updated: e.Created(), gone: e.Operation() != jetstream.KeyValuePut}
	id, name, err := parseKey(e.Key())
	if err == nil && !it.gone {
		var v stored
		if err = json.Unmarshal(e.Value(), &v); err == nil {
			it.value, it.size, it.configured = v.Value, len(v.Value), v.Configured
		}
	}
	if err != nil {
		h.log.Warn("a shared value cannot be read", "key", e.Key(), "error", err)
		id = "" // only the revision counts
	}
	to.apply(id, name, it)
}

func parseKey(key string) (fleet.PeelID, string, error) {
	peel, name, _ := strings.Cut(key, ".")
	id, err := fleet.ParsePeelID(peel)
	if err == nil {
		err = fleet.CheckBasketName(name)
	}
	return id, name, err
}

// clearMarks takes the marks of removals out of the bucket when every watch
// has seen them.
func (h *Holder) clearMarks(ctx context.Context, js jetstream.JetStream) {
	for wait.For(ctx, clearEvery) {
		if err := h.clear(ctx, js, time.Now().Add(-markAge)); err != nil && ctx.Err() == nil {
			h.log.Warn("cannot clear what is left of removed values yet", "error", err)
		}
	}
}

func (h *Holder) clear(ctx context.Context, js jetstream.JetStream, before time.Time) error {
	marks := h.shelf.marks(before)
	if len(marks) == 0 {
		return nil
	}
	s, err := js.Stream(ctx, "KV_"+bus.Basket)
	if err != nil {
		return bus.Explain(bus.Basket, err)
	}
	for _, m := range marks {
		// Up to the mark: a value that was put meanwhile stays.
		err := s.Purge(ctx, jetstream.WithPurgeSubject("$KV."+bus.Basket+"."+key(m.id, m.name)), jetstream.WithPurgeSequence(m.revision+1))
		if err != nil {
			return err
		}
		h.shelf.clear(m)
	}
	return nil
}

func key(id fleet.PeelID, name string) string { return string(id) + "." + name }
