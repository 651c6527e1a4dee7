package master

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// Pace of the connection lists.
const (
	listEvery  = time.Minute
	listSoon   = 5 * time.Second
	callEvery  = 2 * time.Second // between calls of the servers
	callWait   = 3 * time.Second // for the last of those that are known
	missCalls  = 2               // a server that does not answer so many is gone
	maxServers = 1024
)

// connection is a connection in an event or in a list. The JWT is the one that
// the server has verified; the name that a client gives itself is not used.
type connection struct {
	ID    uint64    `json:"id"`  // in events
	CID   uint64    `json:"cid"` // in lists
	Host  string    `json:"host"`
	IP    string    `json:"ip"`
	JWT   string    `json:"jwt"`
	Start time.Time `json:"start"`
	Name  string    `json:"name"` // of its own choice; holds its process's mark

	InMsgs  int64 `json:"in_msgs"` // in lists
	InBytes int64 `json:"in_bytes"`
}

// peel returns the id in the JWT, when it is a peel's: those alone are signed
// by a scoped key, which makes them name the account.
func (c *connection) peel() (fleet.PeelID, bool) {
	parts := strings.Split(c.JWT, ".")
	if len(parts) != 3 {
		return "", false
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", false
	}
	var claims struct {
		Name string `json:"name"`
		NATS struct {
			Account string `json:"issuer_account"`
		} `json:"nats"`
	}
	if json.Unmarshal(raw, &claims) != nil || claims.NATS.Account == "" {
		return "", false
	}
	id, err := fleet.ParsePeelID(claims.Name)
	return id, err == nil
}

// broker is a server of the bus. Its id is another one after each start, its
// name is not.
type broker struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// event is a connect or disconnect event of the system account.
type event struct {
	Server   broker     `json:"server"`
	Client   connection `json:"client"`
	Received struct {   // by the server, when it ended
		Msgs  int64 `json:"msgs"`
		Bytes int64 `json:"bytes"`
	} `json:"received"`
}

// listenSystem subscribes to connects and disconnects before it asks for the
// lists, so that nothing falls in between.
func (m *Master) listenSystem(l *live, sys *nats.Conn) error {
	err := l.subscribe(sys, "$SYS.ACCOUNT.*.CONNECT", anyNumber, func(msg *nats.Msg) {
		if e, id, ok := m.parseEvent(l, msg); ok {
			l.known(m, id)
			if s, copied := l.guard.connected(id, conn{e.Server.ID, e.Client.ID}, e.Client, time.Now()); copied {
				m.cutOff(l, id, s)
			}
			if l.presence.connected(id, conn{e.Server.ID, e.Client.ID}, e.Client.Host, time.Now()) {
				m.log.Debug("peel connected", "peel", id, "address", e.Client.Host)
				m.changes.notify()
			}
		}
	})
	if err != nil {
		return err
	}
	err = l.subscribe(sys, "$SYS.ACCOUNT.*.DISCONNECT", anyNumber, func(msg *nats.Msg) {
		e, id, ok := m.parseEvent(l, msg)
		if !ok {
			return
		}
		l.guard.disconnected(id, conn{e.Server.ID, e.Client.ID}, traffic{e.Received.Msgs, e.Received.Bytes})
		if l.presence.disconnected(id, conn{e.Server.ID, e.Client.ID}, time.Now()) {
			m.log.Debug("peel is away", "peel", id)
			m.changes.notify()
		}
	})
	if err != nil {
		return err
	}
	if err := sys.FlushTimeout(10 * time.Second); err != nil {
		return fmt.Errorf("subscribing to the system account: %w", err)
	}
	soon := make(chan struct{}, 1)
	l.wg.Go(func() { m.listLoop(l, sys, soon) })
	l.wg.Go(func() { m.callLoop(l, sys, soon) })
	l.wg.Go(func() { m.guardLoop(l, sys) })
	return nil
}

func (m *Master) parseEvent(l *live, msg *nats.Msg) (e event, id fleet.PeelID, ok bool) {
	if err := json.Unmarshal(msg.Data, &e); err != nil {
		m.log.Warn("cannot read an event of the system account", "subject", msg.Subject, "error", err)
		return e, "", false
	}
	l.names.Store(e.Server.ID, e.Server.Name)
	id, ok = e.Client.peel()
	l.whose.put(conn{e.Server.ID, e.Client.ID}, id)
	return e, id, ok
}

// known has the list of enrolled peels read again when a peel connects that is
// not on it: it was approved just now.
func (l *live) known(m *Master, id fleet.PeelID) {
	if l.roster.isEnrolled(id) {
		return
	}
	l.roster.soon(func() {
		ctx, cancel := context.WithTimeout(l.ctx, 10*time.Second)
		defer cancel()
		if err := l.roster.refresh(ctx); err != nil && l.ctx.Err() == nil {
			m.log.Warn("cannot read who is enrolled", "error", err)
		}
		m.changes.notify()
	})
}

func (m *Master) onBeat(l *live, msg *nats.Msg) {
	id, ok := bus.ParseHeartbeat(msg.Subject)
	if !ok || len(msg.Data) > 1024 || !l.roster.isEnrolled(id) {
		return
	}
	var b struct {
		Version string `json:"v"`
	}
	if json.Unmarshal(msg.Data, &b) != nil || len(b.Version) > 128 {
		m.metrics.stray.WithLabelValues("heartbeat").Inc()
		return
	}
	if l.presence.beat(id, strings.ToValidUTF8(b.Version, "\uFFFD"), time.Now()) {
		m.changes.notify()
	}
}

// listLoop compares with the servers' lists at start, every minute, and soon
// after the connection came back, a list failed, or a server came that was not
// there.
func (m *Master) listLoop(l *live, sys *nats.Conn, soon <-chan struct{}) {
	back := sys.StatusChanged(nats.CONNECTED)
	for wait := m.cfg.ListEvery; ; {
		if err := m.list(l, sys); err != nil && l.ctx.Err() == nil {
			m.log.Warn("cannot read the list of connections; presence goes by events until the next try", "error", err)
			wait = listSoon
		}
		next := time.NewTimer(wait)
		wait = m.cfg.ListEvery
		select {
		case <-next.C:
		case <-back:
			wait = min(wait, listSoon) // once more: peels come back at the same time
		case <-soon:
			wait = min(wait, listSoon)
		case <-l.ctx.Done():
		}
		next.Stop()
		if l.ctx.Err() != nil {
			return
		}
	}
}

// callLoop asks every few seconds which servers are there: one that died has
// told nobody of the connections that ended with it. Its peels are away until
// another server tells of them.
func (m *Master) callLoop(l *live, sys *nats.Conn, soon chan<- struct{}) {
	missed := map[string]int{}
	var met map[string]bool // nil before the first answers, which the list at the start has
	relist := func() {
		select {
		case soon <- struct{}{}:
		default:
		}
	}
	for l.sleep(callEvery) {
		known := l.presence.servers()
		here, err := call(l.ctx, sys, known)
		if err != nil {
			continue // this master's own connection is down, which says nothing of others
		}
		begins := met == nil
		if begins {
			met = map[string]bool{}
		}
		follows := map[string]bool{} // names of the servers that are there
		for server, name := range here {
			l.names.Store(server, name)
			follows[name] = true
			delete(missed, server)
			if !met[server] && !begins {
				relist() // what came to it before it was heard of is only in its list
			}
			met[server] = true
		}
		lost := false
		for server := range known {
			if here[server] != "" {
				continue
			}
			// One that was started again has the name of the one that was.
			name, _ := l.names.Load(server)
			again, _ := name.(string)
			if missed[server]++; missed[server] >= missCalls || follows[again] {
				delete(missed, server)
				l.names.Delete(server)
				delete(known, server)
				delete(met, server)
				lost = true
				l.guard.gone(server)
				l.whose.gone(server)
				m.log.Warn("a server of the bus is gone; its peels are away until another one has them", "server", server)
			}
		}
		if lost && l.presence.lost(known) {
			m.changes.notify()
		}
		if lost {
			relist()
		}
	}
}

// call returns the servers that answer, with their names. It waits for all
// that are known, for some seconds.
func call(ctx context.Context, sys *nats.Conn, known map[string]bool) (map[string]string, error) {
	inbox := sys.NewInbox()
	answers := make(chan *nats.Msg, maxServers)
	sub, err := sys.ChanSubscribe(inbox, answers)
	if err != nil {
		return nil, fmt.Errorf("calling the servers: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only when the connection is gone
	if err := sys.PublishRequest("$SYS.REQ.SERVER.PING.IDZ", inbox, nil); err != nil {
		return nil, fmt.Errorf("calling the servers: %w", err)
	}
	here := map[string]string{}
	left := len(known)
	wait := time.NewTimer(callWait)
	defer wait.Stop()
	for left > 0 || len(here) == 0 {
		select {
		case msg := <-answers:
			var who struct{ ID, Name string }
			if err := json.Unmarshal(msg.Data, &who); err != nil || who.ID == "" || who.Name == "" || here[who.ID] != "" {
				continue
			}
			here[who.ID] = who.Name
			if known[who.ID] {
				left--
			}
		case <-wait.C:
			if len(here) == 0 {
				return nil, fmt.Errorf("calling the servers: none answered within %s", callWait)
			}
			return here, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return here, nil
}
