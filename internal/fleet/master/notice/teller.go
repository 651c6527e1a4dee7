// Package notice tells peels that they have new settings; a peel that is told
// comes and asks for them. Every master tells: whoever of them hears of a
// change last tells peels that another one could only answer with what was
// before.
package notice

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/settings"
	"github.com/rind-project/rind/internal/fleet/settings/compile"
)

// Pace of new settings.
const (
	poll           = 30 * time.Second       // how often the database is asked, should a word of it be lost
	gather         = 100 * time.Millisecond // changes in quick succession are told of together
	askedPerSecond = 2000                   // how many peels come for new settings in a second
)

// Deps are what a teller needs.
type Deps struct {
	Log      *slog.Logger
	NC       *nats.Conn
	Settings *compile.Compiler
}

// Teller tells of new settings. Use New.
type Teller struct{ deps Deps }

// New makes a teller that does nothing yet.
func New(deps Deps) *Teller { return &Teller{deps} }

// Run keeps the settings of all peels current, and tells those that have
// others, until ctx ends.
func (t *Teller) Run(ctx context.Context) {
	again := time.NewTicker(poll)
	defer again.Stop()
	t.settle(ctx)
	for {
		select {
		case <-t.deps.Settings.Woken():
			select {
			case <-time.After(gather):
			case <-ctx.Done():
				return
			}
		case <-again.C:
		case <-ctx.Done():
			return
		}
		t.settle(ctx)
	}
}

func (t *Teller) settle(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, poll)
	defer cancel()
	if err := t.deps.Settings.Settle(limited); err != nil {
		if ctx.Err() == nil {
			t.deps.Log.Error("the settings stay as they were", "error", err)
		}
		return
	}
	if err := t.tell(); err != nil && ctx.Err() == nil {
		t.deps.Log.Warn("peels could not be told of new settings; they ask by themselves later", "error", err)
	}
}

// tell tells peels of new settings: all of them by one message when they all
// have the same.
func (t *Teller) tell() error {
	changed, everybody, at := t.deps.Settings.Drain()
	if len(changed) == 0 {
		return nil
	}
	n := settings.Notice{Kind: settings.KindNotice, At: at, Spread: int64(len(changed)) * 1000 / askedPerSecond}
	if one, same := sameRevision(changed); everybody && same && len(changed) > 1 {
		n.Revision = one
		if err := t.publish(bus.NoticeAll, n); err != nil {
			return err
		}
	} else {
		for id, revision := range changed {
			n.Revision = revision
			if err := t.publish(bus.NoticeSubject(id), n); err != nil {
				return err
			}
		}
	}
	t.deps.Log.Info("peels are told of new settings", "peels", len(changed), "at", at)
	return t.deps.NC.FlushTimeout(10 * time.Second)
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

func (t *Teller) publish(subject string, n settings.Notice) error {
	data, err := json.Marshal(n)
	if err == nil {
		err = t.deps.NC.Publish(subject, data)
	}
	if err != nil {
		return fmt.Errorf("publishing to %s: %w", subject, err)
	}
	return nil
}
