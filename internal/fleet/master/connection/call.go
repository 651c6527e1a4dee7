package connection

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/base/wait"
)

// Pace of the calls of the servers.
const (
	callEvery  = 2 * time.Second // between calls
	callWait   = 3 * time.Second // for the last of those that are known
	missCalls  = 2               // a server that does not answer so many is gone
	maxServers = 1024
)

// callLoop asks every few seconds which servers are there: one that died has
// told nobody of the connections that ended with it. Its peels are away until
// another server tells of them.
func (w *Watcher) callLoop(ctx context.Context) {
	missed := map[string]int{}
	var met map[string]bool // nil before the first answers, which the list at the start has
	for wait.For(ctx, callEvery) {
		known := w.deps.Servers()
		here, err := call(ctx, w.deps.System, known)
		if err != nil {
			continue // this process's own connection is down, which says nothing of others
		}
		begins := met == nil
		if begins {
			met = map[string]bool{}
		}
		follows := map[string]bool{} // names of the servers that are there
		for server, name := range here {
			w.names.Store(server, name)
			follows[name] = true
			delete(missed, server)
			if !met[server] && !begins {
				w.relist() // what came to it before it was heard of is only in its list
			}
			met[server] = true
		}
		for server := range known {
			if here[server] != "" {
				continue
			}
			// One that was started again has the name of the one that was.
			name, _ := w.names.Load(server)
			again, _ := name.(string)
			if missed[server]++; missed[server] >= missCalls || follows[again] {
				delete(missed, server)
				delete(met, server)
				w.gone(server)
			}
		}
	}
}

// gone forgets a server, and has the lists of the others read: its peels come
// to them.
func (w *Watcher) gone(server string) {
	w.names.Delete(server)
	w.owners.gone(server)
	w.deps.Log.Warn("a server of the bus is gone; its peels are away until another one has them", "server", server)
	w.deps.Gone(server)
	w.relist()
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
			var who broker
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
