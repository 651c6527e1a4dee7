package peel

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/basket"
	"github.com/rind-project/rind/internal/fleet/facts"
	"github.com/rind-project/rind/internal/fleet/job/function/cmd"
)

// Pace of sharing.
const (
	itemWait   = time.Minute    // for one value to be found
	shareAgain = 24 * time.Hour // then the masters are asked whether they have what they should
	sharedMark = "basket-shared"
)

// share keeps the values that the configuration shares current.
type share struct {
	p      *Peel
	r      *running
	agreed time.Time           // when the masters said last what they want
	sent   map[string][32]byte // by name, what they have
}

// shareLoop shares values when they have changed. A peel that shares nothing
// asks once, when it shared something before.
func (p *Peel) shareLoop(r *running) {
	s := &share{p: p, r: r, sent: map[string][32]byte{}}
	every := p.cfg.Basket.Interval
	if len(p.cfg.Basket.Items) == 0 && !s.marked() {
		return
	}
	select {
	case <-r.link.ready:
	case <-r.ctx.Done():
		return
	}
	if !r.sleep(rand.N(every/10 + 1)) { // a fleet that starts at once does not ask at once
		return
	}
	for {
		err := s.round(every)
		switch {
		case r.ctx.Err() != nil:
			return
		case err != nil:
			p.sharing.failed.WithLabelValues("refused").Inc()
			p.log.Warn("cannot share values", "error", err)
		case len(p.cfg.Basket.Items) == 0:
			return // the old ones are gone
		}
		if !r.sleep(every*9/10 + rand.N(every/5+1)) {
			return
		}
	}
}

// round finds every value, and sends those that the masters do not have.
func (s *share) round(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(s.r.ctx, max(limit, itemWait))
	defer cancel()
	values := s.values(ctx)
	if time.Since(s.agreed) > shareAgain {
		if err := s.agree(ctx, values); err != nil {
			return err
		}
	}
	var all []error
	for _, item := range s.p.cfg.Basket.Items {
		value, ok := values[item.Name]
		sum := sha256.Sum256(value)
		if !ok || s.sent[item.Name] == sum {
			continue
		}
		if err := basket.Set(ctx, host{s.p}, basket.Put{Name: item.Name, Value: value, Configured: true}); err != nil {
			all = append(all, fmt.Errorf("%s: %w", item.Name, err))
			continue
		}
		s.sent[item.Name] = sum
		s.p.sharing.shared.Inc()
	}
	return errors.Join(all...)
}

// agree tells the masters which names there are, with what they hold now: an
// old name goes, and a value that they have is not sent.
func (s *share) agree(ctx context.Context, values map[string]json.RawMessage) error {
	names := map[string]json.RawMessage{}
	for _, item := range s.p.cfg.Basket.Items {
		names[item.Name] = values[item.Name] // that of one that failed is kept, being named
	}
	if len(names) > 0 {
		s.mark(true)
	}
	kept, err := basket.Configure(ctx, host{s.p}, names)
	if err != nil {
		return err
	}
	want := map[string]bool{}
	for _, name := range kept.Want {
		want[name] = true
	}
	clear(s.sent)
	for name, value := range values {
		if !want[name] {
			s.sent[name] = sha256.Sum256(value)
		}
	}
	s.agreed = time.Now()
	s.mark(len(names) > 0)
	return nil
}

// marked reports whether an earlier process shared something.
func (s *share) marked() bool {
	if s.p.cfg.StateDir == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(s.p.cfg.StateDir, sharedMark))
	return err == nil
}

func (s *share) mark(shares bool) {
	if s.p.cfg.StateDir == "" {
		return
	}
	path := filepath.Join(s.p.cfg.StateDir, sharedMark)
	err := os.Remove(path)
	if shares {
		err = os.WriteFile(path, nil, 0o600)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.p.log.Warn("cannot note that values are shared", "error", err)
	}
}

// values finds the values. One that cannot be found is left out, and stays what
// it was.
func (s *share) values(ctx context.Context) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	var known *fleet.Facts
	for _, item := range s.p.cfg.Basket.Items {
		if item.Fact != "" && known == nil {
			f, err := host{s.p}.Facts(ctx)
			if err != nil {
				s.p.log.Warn("cannot collect facts", "error", err)
			}
			known = &f
		}
		value, err := s.value(ctx, item, known)
		if err == nil {
			err = fleet.CheckValue(value, fleet.MaxBasketValue)
		}
		if err != nil {
			if s.r.ctx.Err() == nil {
				s.p.sharing.failed.WithLabelValues("value").Inc()
				s.p.log.Warn("a value to share cannot be found", "name", item.Name, "error", err)
			}
			continue
		}
		out[item.Name] = value
	}
	return out
}

func (s *share) value(ctx context.Context, item BasketItem, known *fleet.Facts) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, itemWait)
	defer cancel()
	switch {
	case item.Fact != "":
		v, ok := facts.Lookup(*known, item.Fact)
		if !ok {
			return nil, fmt.Errorf("there is no fact %q", item.Fact)
		}
		return fleet.Encode(v)
	case item.Command != "":
		return s.command(ctx, item.Command)
	}
	v, err := s.call(ctx, item.Function, item.Args)
	if err != nil {
		return nil, err
	}
	return fleet.Encode(v)
}

// command shares what a command writes: JSON, or else a text without the line's
// end.
func (s *share) command(ctx context.Context, line string) (json.RawMessage, error) {
	v, err := s.call(ctx, "cmd.run", []string{line})
	if err != nil {
		return nil, err
	}
	out, ok := v.(cmd.Command)
	if !ok || out.StdoutCut > 0 || len(out.Stdout) > fleet.MaxBasketValue {
		return nil, fmt.Errorf("the command writes more than %d bytes", fleet.MaxBasketValue)
	}
	return fleet.ParseValue(strings.TrimRight(out.Stdout, "\r\n"))
}

func (s *share) call(ctx context.Context, name string, args []string) (any, error) {
	f, err := s.p.functions.Find(name)
	if err != nil {
		return nil, err
	}
	res, err := f.Do(ctx, host{s.p}, args, itemWait)
	if err == nil && res.Failed != "" {
		err = errors.New(res.Failed)
		if out, ok := res.Value.(cmd.Command); ok && out.Stderr != "" {
			line, _, _ := bytes.Cut([]byte(out.Stderr), []byte("\n"))
			err = fmt.Errorf("%w: %.200s", err, line)
		}
	}
	return res.Value, err
}

// sharing are the counters of shared values.
type sharing struct {
	shared prometheus.Counter
	failed *prometheus.CounterVec
}

func newSharing(reg prometheus.Registerer) (*sharing, error) {
	s := &sharing{
		shared: prometheus.NewCounter(prometheus.CounterOpts{Name: "rind_peel_values_shared_total", Help: "Values that were put into the basket because they had changed."}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rind_peel_values_failed_total",
			Help: "Values that were not shared: value, it could not be found; refused, no master took it."}, []string{"reason"}),
	}
	if reg == nil {
		return s, nil
	}
	if err := errors.Join(reg.Register(s.shared), reg.Register(s.failed)); err != nil {
		return nil, fmt.Errorf("registering the peel's metrics: %w", err)
	}
	return s, nil
}
