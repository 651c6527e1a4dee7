package connection

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// The subjects of the system account's events.
const (
	Connects    = "$SYS.ACCOUNT.*.CONNECT"
	Disconnects = "$SYS.ACCOUNT.*.DISCONNECT"
)

// listSoon is when the lists are read that cannot wait for their turn.
const listSoon = 5 * time.Second

// Deps are what a watcher needs. Its functions are called by several
// goroutines at the same time.
type Deps struct {
	Log *slog.Logger
	// System is the connection of the system account.
	System *nats.Conn
	// Every is the time between two readings of the lists.
	Every time.Duration
	// Connected and Disconnected take what an event tells.
	Connected    func(Entry)
	Disconnected func(Entry)
	// Listed takes all that a list of one server's connections has, which was
	// begun at a time by this process's clock. What came or went after that is
	// perhaps not in it.
	Listed func(server string, peels []Entry, began time.Time)
	// Servers returns those that a peel is known to be connected to, and Gone
	// takes one of which nothing is heard any more, or that began anew: it has
	// told nobody of the connections that ended with it.
	Servers func() map[string]bool
	Gone    func(server string)
}

// Watcher follows the connections. Use New.
type Watcher struct {
	deps   Deps
	owners *owners
	names  sync.Map      // of the servers, by their ids
	soon   chan struct{} // a token when the lists are to be read before their turn
}

// New makes a watcher that does nothing yet.
func New(deps Deps) *Watcher {
	return &Watcher{deps: deps, owners: newOwners(), soon: make(chan struct{}, 1)}
}

// OnConnect takes a message on Connects. Events are to be subscribed to before
// Run reads the lists, so that nothing falls in between.
func (w *Watcher) OnConnect(msg *nats.Msg) {
	if e, ok := w.parse(msg); ok {
		w.deps.Connected(e)
	}
}

// OnDisconnect takes a message on Disconnects.
func (w *Watcher) OnDisconnect(msg *nats.Msg) {
	if e, ok := w.parse(msg); ok {
		w.deps.Disconnected(e)
	}
}

func (w *Watcher) parse(msg *nats.Msg) (Entry, bool) {
	var e event
	if err := json.Unmarshal(msg.Data, &e); err != nil {
		w.deps.Log.Warn("cannot read an event of the system account", "subject", msg.Subject, "error", err)
		return Entry{}, false
	}
	w.names.Store(e.Server.ID, e.Server.Name)
	peel, ok := e.Client.peel()
	id := ID{e.Server.ID, e.Client.ID}
	w.owners.put(id, peel)
	return Entry{ID: id, Peel: peel, Name: e.Client.Name, Address: strings.TrimSpace(e.Client.Host), Start: e.Client.Start,
		Sent: Traffic{e.Sent.Msgs, e.Sent.Bytes}, Revoked: e.Reason == revoked}, ok
}

// Run reads the servers' lists again and again, and asks which servers are
// there, until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { w.listLoop(ctx) })
	w.callLoop(ctx)
	wg.Wait()
}

// listLoop compares with the servers' lists at start and soon after it, every
// minute, and soon after the connection came back, a list failed, or a server
// came that was not there.
func (w *Watcher) listLoop(ctx context.Context) {
	back := w.deps.System.StatusChanged(nats.CONNECTED)
	for wait := min(w.deps.Every, listSoon); ; {
		if err := w.List(ctx); err != nil && ctx.Err() == nil {
			w.deps.Log.Warn("cannot read the list of connections; presence goes by events until the next try", "error", err)
			wait = listSoon
		}
		next := time.NewTimer(wait)
		wait = w.deps.Every
		select {
		case <-next.C:
		case <-back:
			wait = min(wait, listSoon) // once more: peels come back at the same time
		case <-w.soon:
			wait = min(wait, listSoon)
		case <-ctx.Done():
		}
		next.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// relist has the lists read before their turn.
func (w *Watcher) relist() {
	select {
	case w.soon <- struct{}{}:
	default: // they are
	}
}
