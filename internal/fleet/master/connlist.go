package master

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet"
)

// Bounds of the connection lists. For each page a server looks at all of its
// connections, so that pages are large.
const (
	listPage  = 4096
	listAll   = 1 << 16                // at once, with the permissions
	listIdle  = 300 * time.Millisecond // after the last server's answer
	listWait  = 10 * time.Second       // for the first, and for each page
	askSingly = 32                     // connections that nothing is known of
)

// page is one server's answer.
type page struct {
	Server broker `json:"server"`
	Data   struct {
		Total int          `json:"total"`
		Conns []connection `json:"connections"`
	} `json:"data"`
}

// whose remembers whose the connections are. A server that is asked for the
// permissions verifies the one of every connection anew for each page, which
// would keep a server with many peels busy all the time. So the events tell,
// and it is asked only of those that no event told of.
type whose struct {
	mu sync.Mutex
	by map[conn]owner
}

// owner is whom a connection belongs to: "" for one that is no peel's.
type owner struct {
	id fleet.PeelID
	at time.Time
}

func newWhose() *whose { return &whose{by: map[conn]owner{}} }

func (w *whose) put(c conn, id fleet.PeelID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.by[c] = owner{id, time.Now()}
}

func (w *whose) of(c conn) (fleet.PeelID, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o, known := w.by[c]
	return o.id, known
}

// keep forgets the connections of a server that its list, begun at a time, does
// not have any more.
func (w *whose) keep(server string, there map[uint64]bool, began time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c, o := range w.by {
		if c.server == server && !there[c.cid] && o.at.Before(began) {
			delete(w.by, c)
		}
	}
}

// gone forgets a server with its connections.
func (w *whose) gone(server string) { w.keep(server, nil, time.Now().Add(time.Hour)) }

// list asks all servers for their first page, and each for the others.
func (m *Master) list(l *live, sys *nats.Conn) error {
	began := time.Now()
	firsts, err := firstPages(l.ctx, sys)
	if err != nil {
		return err
	}
	changed := false
	var failed []error
	for _, p := range firsts {
		conns, err := restPages(l.ctx, sys, p)
		if err == nil {
			err = l.identify(sys, p.Server.ID, conns)
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		all := l.peelsOf(p.Server.ID, conns, began)
		l.names.Store(p.Server.ID, p.Server.Name)
		changed = l.presence.reconcile(p.Server.ID, all, began) || changed
		m.enforce(l, l.guard.listed(p.Server.ID, all, began))
	}
	if changed {
		m.changes.notify()
	}
	return errors.Join(failed...)
}

// peelsOf returns the peels among a server's connections.
func (l *live) peelsOf(server string, conns []connection, began time.Time) []listed {
	there := make(map[uint64]bool, len(conns))
	var out []listed
	for _, c := range conns {
		there[c.CID] = true
		if id, _ := l.whose.of(conn{server, c.CID}); id != "" {
			out = append(out, listed{id: id, cid: c.CID, address: c.IP, start: c.Start,
				name: c.Name, sent: traffic{c.InMsgs, c.InBytes}})
		}
	}
	l.whose.keep(server, there, began)
	return out
}

// identify asks a server whose those of its connections are that no event has
// told of: of each, or of all when there are many, as after this master's
// start.
func (l *live) identify(sys *nats.Conn, server string, conns []connection) error {
	var unknown []uint64
	for _, c := range conns {
		if _, known := l.whose.of(conn{server, c.CID}); !known {
			unknown = append(unknown, c.CID)
		}
	}
	ask := func(format string, args ...any) (page, error) {
		return askPage(l.ctx, sys, "$SYS.REQ.SERVER."+server+".CONNZ", fmt.Appendf(nil, format, args...))
	}
	if len(unknown) > askSingly {
		p, err := ask(`{"auth":true,"state":0,"sort":"cid","limit":%d}`, listAll)
		l.learn(server, p)
		return err
	}
	for _, cid := range unknown {
		p, err := ask(`{"auth":true,"state":0,"cid":%d}`, cid)
		if err != nil {
			return err
		}
		l.learn(server, p)
	}
	return nil
}

func (l *live) learn(server string, p page) {
	for _, c := range p.Data.Conns {
		id, _ := c.peel()
		l.whose.put(conn{server, c.CID}, id)
	}
}

func listRequest(offset int) []byte {
	return fmt.Appendf(nil, `{"state":0,"sort":"cid","limit":%d,"offset":%d}`, listPage, offset)
}

func firstPages(ctx context.Context, sys *nats.Conn) ([]page, error) {
	inbox := sys.NewInbox()
	answers := make(chan *nats.Msg, maxServers)
	sub, err := sys.ChanSubscribe(inbox, answers)
	if err != nil {
		return nil, fmt.Errorf("asking for connections: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only when the connection is gone
	if err := sys.PublishRequest("$SYS.REQ.SERVER.PING.CONNZ", inbox, listRequest(0)); err != nil {
		return nil, fmt.Errorf("asking for connections: %w", err)
	}
	var out []page
	wait := time.NewTimer(listWait)
	defer wait.Stop()
	for {
		select {
		case msg := <-answers:
			var p page
			if err := json.Unmarshal(msg.Data, &p); err != nil {
				return nil, fmt.Errorf("reading a list of connections: %w", err)
			}
			out = append(out, p)
			wait.Reset(listIdle)
		case <-wait.C:
			if len(out) == 0 {
				return nil, fmt.Errorf("asking for connections: no server answered within %s", listWait)
			}
			return out, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// restPages returns all connections of a server, from its first page on.
func restPages(ctx context.Context, sys *nats.Conn, p page) ([]connection, error) {
	server := p.Server
	var out []connection
	for {
		out = append(out, p.Data.Conns...)
		if len(p.Data.Conns) < listPage || len(out) >= p.Data.Total {
			return out, nil
		}
		var err error
		if p, err = askPage(ctx, sys, "$SYS.REQ.SERVER."+server.ID+".CONNZ", listRequest(len(out))); err != nil {
			return nil, fmt.Errorf("from %d on: %w", len(out), err)
		}
	}
}

func askPage(ctx context.Context, sys *nats.Conn, subject string, request []byte) (page, error) {
	var p page
	ctx, cancel := context.WithTimeout(ctx, listWait)
	defer cancel()
	msg, err := sys.RequestWithContext(ctx, subject, request)
	if err != nil {
		return p, fmt.Errorf("asking for connections: %w", err)
	}
	if err := json.Unmarshal(msg.Data, &p); err != nil {
		return p, fmt.Errorf("reading a list of connections: %w", err)
	}
	return p, nil
}
