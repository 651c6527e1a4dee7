package master

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/settings"
)

// Pace of new settings.
const (
	settingsPoll   = 30 * time.Second       // how often the database is asked, should a word of it be lost
	settingsGather = 100 * time.Millisecond // changes in quick succession are told of together
	askedPerSecond = 2000                   // how many peels come for new settings in a second
)

// tellSettings keeps the settings of all peels current, and tells those that
// have others. Every master does: whoever of them hears of a change last tells
// peels that another one could only answer with what was before.
func (m *Master) tellSettings(l *live) error {
	if m.deps.Settings == nil {
		return nil
	}
	if err := l.subscribe(l.nc, bus.ServersChanged, anyNumber, func(*nats.Msg) { m.deps.Settings.Wake() }); err != nil {
		return err
	}
	l.wg.Go(func() {
		poll := time.NewTicker(settingsPoll)
		defer poll.Stop()
		m.settle(l)
		for {
			select {
			case <-m.deps.Settings.Woken():
				if !l.sleep(settingsGather) {
					return
				}
			case <-poll.C:
			case <-l.ctx.Done():
				return
			}
			m.settle(l)
		}
	})
	return nil
}

// answerSettings answers a peel that asks for its settings.
func (m *Master) answerSettings(ctx context.Context, id fleet.PeelID, data []byte) ([]byte, error) {
	return m.deps.Settings.Answer(ctx, id, data, func(said []byte) ([]byte, error) { return m.deps.Signer.Vouch(job.WordSettings, said) })
}

func (m *Master) settle(l *live) {
	ctx, cancel := context.WithTimeout(l.ctx, settingsPoll)
	defer cancel()
	if err := m.deps.Settings.Settle(ctx); err != nil {
		if l.ctx.Err() == nil {
			m.log.Error("the settings stay as they were", "error", err)
		}
		return
	}
	if err := m.notify(l); err != nil && l.ctx.Err() == nil {
		m.log.Warn("peels could not be told of new settings; they ask by themselves later", "error", err)
	}
}

// notify tells peels of new settings: all of them by one message when they all
// have the same.
func (m *Master) notify(l *live) error {
	changed, everybody, at := m.deps.Settings.Drain()
	if len(changed) == 0 {
		return nil
	}
	n := settings.Notice{Kind: settings.KindNotice, At: at, Spread: int64(len(changed)) * 1000 / askedPerSecond}
	if one, same := sameRevision(changed); everybody && same && len(changed) > 1 {
		n.Revision = one
		if err := publishNotice(l, bus.NoticeAll, n); err != nil {
			return err
		}
	} else {
		for id, revision := range changed {
			n.Revision = revision
			if err := publishNotice(l, bus.NoticeSubject(id), n); err != nil {
				return err
			}
		}
	}
	m.log.Info("peels are told of new settings", "peels", len(changed), "at", at)
	return l.nc.FlushTimeout(10 * time.Second)
}

func sameRevision(changed map[fleet.PeelID]string) (one string, same bool) {
	for _, revision := range changed {
		if one != "" && one != revision {
			return "", false
		}
		one = revision
	}
	return one, true
}

func publishNotice(l *live, subject string, n settings.Notice) error {
	data, err := json.Marshal(n)
	if err == nil {
		err = l.nc.Publish(subject, data)
	}
	if err != nil {
		return fmt.Errorf("publishing to %s: %w", subject, err)
	}
	return nil
}

// SettingsChanged tells every server that layers or groups have changed.
func (m *Master) SettingsChanged() {
	l, err := m.running()
	if err != nil || m.deps.Settings == nil {
		return
	}
	m.deps.Settings.Wake()
	if err := l.nc.Publish(bus.ServersChanged, nil); err != nil {
		m.log.Warn("the other servers could not be told that settings have changed; they find out within half a minute", "error", err)
	}
}

// Settings returns what a peel is configured with, and where it comes from.
func (m *Master) Settings(ctx context.Context, id fleet.PeelID) (settings.Effective, error) {
	l, err := m.running()
	if err != nil {
		return settings.Effective{}, err
	}
	if m.deps.Settings == nil {
		return settings.Effective{}, errs.New(errs.Unavailable, "this master keeps no settings")
	}
	if _, known := l.roster.All.Facts(id); !known {
		if err := l.roster.Refresh(ctx); err != nil {
			return settings.Effective{}, err
		}
		if _, known = l.roster.All.Facts(id); !known {
			return settings.Effective{}, errs.New(errs.NotFound, "there is no peel %q; rind peel list shows all", id)
		}
	}
	return m.deps.Settings.Show(ctx, id)
}
