package peel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/settings"
)

// SettingsConfig says how settings are kept current.
type SettingsConfig struct {
	Interval time.Duration `yaml:"interval" help:"how often settings are asked for, should a word of new ones be lost"`
	Jitter   time.Duration `yaml:"jitter" help:"within this time after connecting they are asked for"`
}

// Pace of asking for settings.
const (
	lookAround   = 5 * time.Second // whether there is another connection
	insist       = 2 * time.Minute // on the revision of a notice
	maxNotices   = 16
	settingsFile = "settings.json"
)

// keeper holds the peel's settings, in memory and on its disk, so that it has
// them while the bus is away.
type keeper struct {
	p       *Peel
	r       *running
	file    string
	notices chan settings.Notice

	mu     sync.Mutex
	have   settings.Compiled
	values settings.Values
}

// openSettings reads what an earlier process has kept. What is damaged is
// asked for again.
func openSettings(p *Peel, r *running, file string) *keeper {
	k := &keeper{p: p, r: r, file: file, notices: make(chan settings.Notice, maxNotices)}
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

// request asks for what is new since the settings that are here, and of the
// state of a notice at least.
func (k *keeper) request(at int64) []byte {
	revision, _ := k.now()
	data, err := json.Marshal(settings.Request{Have: revision, At: at})
	if err != nil {
		return nil // which asks for everything
	}
	return data
}

// answered takes what a master has answered, and keeps it.
func (k *keeper) answered(data []byte) (settings.Compiled, error) {
	c, err := settings.ParseCompiled(data)
	if err != nil {
		return c, err
	}
	if len(c.Values) == 0 {
		if revision, _ := k.now(); c.Revision != revision {
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
	answer, err := h.Ask(ctx, settings.AskGet, r.settings.request(0))
	if err != nil {
		return "", nil, fmt.Errorf("asking for the settings: %w", err)
	}
	if _, err := r.settings.answered(answer); err != nil {
		return "", nil, err
	}
	revision, values = r.settings.now()
	return revision, values, nil
}

// settingsLoop asks for settings after each connection, when a notice tells of
// new ones, and now and then.
func (p *Peel) settingsLoop(r *running) {
	select {
	case <-r.link.ready:
	case <-r.ctx.Done():
		return
	}
	s := &asking{k: r.settings, jitter: p.cfg.Settings.Jitter, interval: p.cfg.Settings.Interval}
	s.look()
	look := time.NewTicker(min(lookAround, max(s.jitter, 10*time.Millisecond)))
	defer look.Stop()
	for {
		due := time.NewTimer(max(0, time.Until(s.due)))
		select {
		case n := <-r.settings.notices:
			s.told(n)
		case <-look.C:
			s.look()
		case <-due.C:
			s.ask()
		case <-r.ctx.Done():
			due.Stop()
			return
		}
		due.Stop()
	}
}

// asking is when to ask for what.
type asking struct {
	k                *keeper
	jitter, interval time.Duration

	due    time.Time
	wait   time.Duration // after the last try, that failed
	want   settings.Notice
	until  time.Time // when it is given up to insist on the revision of want
	nc     *nats.Conn
	rejoin uint64 // of the connection
}

// soon asks within a time, unless it will be earlier already.
func (s *asking) soon(within time.Duration) {
	at := time.Now().Add(rand.N(within + 1))
	if s.due.IsZero() || at.Before(s.due) {
		s.due = at
	}
}

// look subscribes on a new connection. While there was none, notices have been
// lost.
func (s *asking) look() {
	nc := s.k.r.link.current()
	if nc == nil || !nc.IsConnected() {
		return
	}
	rejoin := nc.Stats().Reconnects
	if nc == s.nc && rejoin == s.rejoin {
		return
	}
	if nc != s.nc {
		if err := s.k.subscribe(nc); err != nil {
			s.k.p.log.Warn("cannot listen for notices yet", "error", err)
			return
		}
	}
	s.nc, s.rejoin = nc, rejoin
	s.soon(s.jitter)
}

// subscribe listens for notices. The subscriptions end with the connection.
func (k *keeper) subscribe(nc *nats.Conn) error {
	for _, subject := range []string{bus.NoticeAll, bus.NoticeSubject(k.p.id)} {
		sub, err := nc.Subscribe(subject, func(m *nats.Msg) {
			n, ok := settings.ParseNotice(m.Data)
			if !ok {
				return
			}
			select {
			case k.notices <- n:
			default: // those that wait make it ask anyway
			}
		})
		if err == nil {
			err = sub.SetPendingLimits(256, 1<<20)
		}
		if err != nil {
			return fmt.Errorf("subscribing to %s: %w", subject, err)
		}
	}
	return nc.FlushTimeout(10 * time.Second)
}

// told takes a notice.
func (s *asking) told(n settings.Notice) {
	revision, _ := s.k.now()
	if n.Revision != "" && n.Revision == revision || n.At < s.want.At {
		return
	}
	s.want, s.until, s.wait = n, time.Now().Add(insist), 0
	s.soon(time.Duration(n.Spread) * time.Millisecond)
}

// ask asks once, and says when to ask next.
func (s *asking) ask() {
	k := s.k
	answer, err := k.r.link.ask(k.r.ctx, bus.AskSubject(k.p.id, settings.AskGet), k.request(s.want.At), askWait)
	var c settings.Compiled
	if err == nil {
		c, err = k.answered(answer)
	}
	late := time.Now().After(s.until)
	switch {
	case k.r.ctx.Err() != nil:
		return
	case errors.Is(err, bus.ErrRefused):
		k.p.metrics.settings.WithLabelValues("refused").Inc()
		k.p.log.Error("a master does not give the settings; those that are here stay", "error", err)
	case err != nil:
		k.p.metrics.settings.WithLabelValues("failed").Inc()
		k.p.log.Debug("the settings have not come yet", "error", err)
		s.again()
		return
	case !late && c.At == s.want.At && s.want.Revision != "" && c.Revision != s.want.Revision:
		s.again() // another master has not seen yet what the notice is about
		return
	}
	s.wait = 0
	s.due = time.Now().Add(s.interval*9/10 + rand.N(s.interval/5+1))
}

func (s *asking) again() {
	s.wait = min(max(2*s.wait, firstRetry), lastRetry)
	s.due = time.Now().Add(s.wait/2 + rand.N(s.wait))
}
