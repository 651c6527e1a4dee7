package master

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/master/connection"
)

// followConnections tells presence and the guard what the system account and
// the servers' lists say of connections.
func (m *Master) followConnections(l *live, sys *nats.Conn) error {
	w := connection.New(connection.Deps{
		Log: m.log, System: sys, Every: m.cfg.ListEvery, Servers: l.presence.Servers,
		Connected:    func(e connection.Entry) { m.onConnected(l, e) },
		Disconnected: func(e connection.Entry) { m.onDisconnected(l, e) },
		Listed: func(server string, peels []connection.Entry, began time.Time) {
			if l.presence.Listed(server, peels, began) {
				m.changes.notify()
			}
			l.guard.Listed(server, peels, began)
		},
		Gone: func(server string) {
			l.guard.Gone(server)
			if l.presence.Gone(server) {
				m.changes.notify()
			}
		},
	})
	if err := l.subscribe(sys, connection.Connects, anyNumber, w.OnConnect); err != nil {
		return err
	}
	if err := l.subscribe(sys, connection.Disconnects, anyNumber, w.OnDisconnect); err != nil {
		return err
	}
	if err := sys.FlushTimeout(10 * time.Second); err != nil {
		return fmt.Errorf("subscribing to the system account: %w", err)
	}
	l.wg.Go(func() { w.Run(l.ctx) })
	l.wg.Go(func() { l.guard.Watch(l.ctx, w.List) })
	return nil
}

func (m *Master) onConnected(l *live, e connection.Entry) {
	l.known(m, e.Peel)
	now := time.Now()
	l.guard.Connected(e, now)
	if l.presence.Connected(e, now) {
		m.log.Debug("peel connected", "peel", e.Peel, "address", e.Address)
		m.changes.notify()
	}
}

func (m *Master) onDisconnected(l *live, e connection.Entry) {
	l.guard.Disconnected(e)
	if l.presence.Disconnected(e, time.Now()) {
		m.log.Debug("peel is away", "peel", e.Peel)
		m.changes.notify()
	}
}

// known has the list of enrolled peels read again when a peel connects that is
// not on it: it was approved just now.
func (l *live) known(m *Master, id fleet.PeelID) {
	if l.roster.Enrolled(id) {
		return
	}
	l.roster.Soon(func() {
		ctx, cancel := context.WithTimeout(l.ctx, 10*time.Second)
		defer cancel()
		if err := l.roster.Refresh(ctx); err != nil && l.ctx.Err() == nil {
			m.log.Warn("cannot read who is enrolled", "error", err)
		}
		m.changes.notify()
	})
}

func (m *Master) onBeat(l *live, msg *nats.Msg) {
	id, ok := bus.ParseHeartbeat(msg.Subject)
	if !ok || len(msg.Data) > 1024 || !l.roster.Enrolled(id) {
		return
	}
	var b struct {
		Version string `json:"v"`
	}
	if json.Unmarshal(msg.Data, &b) != nil || len(b.Version) > 128 {
		m.metrics.stray.WithLabelValues("heartbeat").Inc()
		return
	}
	if l.presence.Beat(id, strings.ToValidUTF8(b.Version, "\uFFFD"), time.Now()) {
		m.changes.notify()
	}
}
