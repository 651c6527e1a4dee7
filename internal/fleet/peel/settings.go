package peel

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/settings"
)

// SettingsConfig says how settings are kept current.
type SettingsConfig struct {
	Interval time.Duration `yaml:"interval" help:"how often settings are asked for, should a word of new ones be lost"`
	Jitter   time.Duration `yaml:"jitter" help:"within this time after connecting they are asked for"`
}

// Pace of asking for settings.
const (
	insist       = 2 * time.Minute // on the revision of a notice
	settingsFile = "settings.json"
)

// errForged is wrapped by what is said of an answer that is no master's.
var errForged = errors.New("an answer with settings is refused, and those that are here stay")

// keeper holds the peel's settings, in memory and on its disk, so that it has
// them while the bus is away.
type keeper struct {
	p      *Peel
	r      *running
	file   string
	asking asking

	mu     sync.Mutex
	have   settings.Compiled
	values settings.Values
}

// openSettings reads what an earlier process has kept. What is damaged is
// asked for again.
func openSettings(p *Peel, r *running, file string) *keeper {
	k := &keeper{p: p, r: r, file: file}
	k.asking.k = k
	if file == "" {
		return k
	}
	data, err := os.ReadFile(file)
	if err == nil {
		err = k.take(data)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.log.Warn("the settings on the disk cannot be used and are asked for again", "error", err)
	}
	return k
}

// take reads settings that are complete.
func (k *keeper) take(data []byte) error {
	c, err := settings.ParseCompiled(data)
	if err != nil {
		return err
	}
	values, err := settings.Decode(c.Values)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.have, k.values = c, values
	return nil
}

// now returns the settings as they are; the revision is "" when none have
// ever come.
func (k *keeper) now() (revision string, values settings.Values) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.have.Revision, k.values
}

// question is one question for settings.
type question struct {
	data  []byte
	nonce string            // what answers must be signed for it
	have  settings.Compiled // what was here when it was asked
}

// request asks for what is new since the settings that are here, and of the
// state of a notice at least.
func (k *keeper) request(at int64) (question, error) {
	k.mu.Lock()
	q := question{nonce: rand.Text(), have: k.have}
	k.mu.Unlock()
	var err error
	q.data, err = json.Marshal(settings.Request{Have: q.have.Revision, At: at, Nonce: q.nonce})
	return q, err
}

// answered takes what a master has answered, and keeps it. An answer that is
// not a master's, for this peel and this question, changes nothing.
func (k *keeper) answered(q question, data []byte) (settings.Compiled, error) {
	c, err := settings.ParseCompiled(data)
	if err != nil {
		k.p.metrics.forged.WithLabelValues(job.ReasonMalformed).Inc()
		return c, err
	}
	values := c.Values
	if len(values) == 0 {
		values = q.have.Values
	}
	if r := k.r.verify.Vouched(job.WordSettings, settings.Said(k.p.id, q.nonce, c.At, values), c.Proof); r != nil {
		k.p.metrics.forged.WithLabelValues(r.Reason).Inc()
		return c, fmt.Errorf("%w: %w", errForged, r)
	}
	if len(c.Values) == 0 {
		if c.Revision != q.have.Revision {
			return c, errors.New("the master answered without the settings")
		}
		return c, nil
	}
	if err := k.take(data); err != nil {
		return c, err
	}
	k.p.metrics.settings.WithLabelValues("changed").Inc()
	k.p.log.Info("there are new settings", "revision", c.Revision)
	if k.file == "" {
		return c, nil
	}
	if err := disk.WriteFile(k.file, data); err != nil { // they are used all the same
		k.p.metrics.settings.WithLabelValues("unsaved").Inc()
		k.p.log.Error("the settings cannot be kept on the disk", "error", err)
	}
	return c, nil
}

// Settings returns the peel's settings, which must not be changed. With
// refresh, or when it has none yet, a master is asked first.
func (h host) Settings(ctx context.Context, refresh bool) (revision string, values map[string]any, err error) {
	h.p.mu.Lock()
	r := h.p.running
	h.p.mu.Unlock()
	if r == nil {
		return "", nil, errStopping
	}
	revision, values = r.settings.now()
	if !refresh && revision != "" {
		return revision, values, nil
	}
	q, err := r.settings.request(0)
	if err != nil {
		return "", nil, err
	}
	answer, err := h.Ask(ctx, settings.AskGet, q.data)
	if err != nil {
		return "", nil, fmt.Errorf("asking for the settings: %w", err)
	}
	if _, err := r.settings.answered(q, answer); err != nil {
		return "", nil, err
	}
	revision, values = r.settings.now()
	return revision, values, nil
}
