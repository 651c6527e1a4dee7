package master

import (
	"context"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/master/notice"
	"github.com/rind-project/rind/internal/fleet/settings"
)

// tellSettings keeps the settings of all peels current.
func (m *Master) tellSettings(l *live) error {
	if m.deps.Settings == nil {
		return nil
	}
	if err := l.subscribe(l.nc, bus.ServersChanged, anyNumber, func(*nats.Msg) { m.deps.Settings.Wake() }); err != nil {
		return err
	}
	t := notice.New(notice.Deps{Log: m.log, NC: l.nc, Settings: m.deps.Settings})
	l.wg.Go(func() { t.Run(l.ctx) })
	return nil
}

// answerSettings answers a peel that asks for its settings.
func (m *Master) answerSettings(ctx context.Context, id fleet.PeelID, data []byte) ([]byte, error) {
	return m.deps.Settings.Answer(ctx, id, data, func(said []byte) ([]byte, error) { return m.deps.Signer.Vouch(job.WordSettings, said) })
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
