package connection

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// Bounds of the connection lists. For each page a server looks at all of its
// connections, so that pages are large.
const (
	listPage  = 4096
	listAll   = 1 << 16                // at once, with the permissions
	listIdle  = 300 * time.Millisecond // after the last server's answer
	listWait  = 10 * time.Second       // for the first, and for each page
	askSingly = 32                     // connections that nothing is known of
	settled   = 4 * time.Second        // a younger connection's event is on its way
)

// page is one server's answer.
type page struct {
	Server broker `json:"server"`
	Data   struct {
		Now     time.Time `json:"now"` // by the server's clock
		Total   int       `json:"total"`
		Clients []client  `json:"connections"`
	} `json:"data"`
}

// List reads the lists of all servers: of each its first page, and then the
// others.
func (w *Watcher) List(ctx context.Context) error {
	began := time.Now()
	firsts, err := firstPages(ctx, w.deps.System)
	if err != nil {
		return err
	}
	var failed []error
	for _, p := range firsts {
		clients, err := restPages(ctx, w.deps.System, p)
		if err == nil {
			err = w.identify(ctx, p.Server.ID, clients, p.Data.Now)
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		peels := w.peelsOf(p.Server.ID, clients, began)
		w.names.Store(p.Server.ID, p.Server.Name)
		w.deps.Listed(p.Server.ID, peels, began)
	}
	return errors.Join(failed...)
}

// peelsOf returns the peels among a server's connections.
func (w *Watcher) peelsOf(server string, clients []client, began time.Time) []Entry {
	there := make(map[uint64]bool, len(clients))
	var out []Entry
	for _, c := range clients {
		there[c.CID] = true
		id := ID{server, c.CID}
		if peel, _ := w.owners.of(id); peel != "" {
			out = append(out, Entry{ID: id, Peel: peel, Name: c.Name, Address: c.IP, Start: c.Start, Sent: Traffic{c.InMsgs, c.InBytes}})
		}
	}
	w.owners.keep(server, there, began)
	return out
}

// identify asks a server whose those of its connections are that no event has
// told of: of each, or of all when there are many, as after the start. While a
// fleet connects there are always many that have just begun, whose events come;
// asking for all would have the server verify every permission anew each time.
func (w *Watcher) identify(ctx context.Context, server string, clients []client, now time.Time) error {
	var unknown, fresh []uint64
	for _, c := range clients {
		_, known := w.owners.of(ID{server, c.CID})
		switch {
		case known:
		case now.Sub(c.Start) < settled:
			fresh = append(fresh, c.CID)
		default:
			unknown = append(unknown, c.CID)
		}
	}
	ask := func(format string, args ...any) (page, error) {
		return askPage(ctx, w.deps.System, "$SYS.REQ.SERVER."+server+".CONNZ", fmt.Appendf(nil, format, args...))
	}
	if len(unknown) > askSingly {
		p, err := ask(`{"auth":true,"state":0,"sort":"cid","limit":%d}`, listAll)
		w.learn(server, p)
		return err
	}
	unknown = append(unknown, fresh...)
	for _, cid := range unknown[:min(len(unknown), askSingly)] { // the next list has the others
		p, err := ask(`{"auth":true,"state":0,"cid":%d}`, cid)
		if err != nil {
			return err
		}
		w.learn(server, p)
	}
	return nil
}

// learn takes what a server says of its connections. One that has shown no
// permission yet may be anybody's still: an event will tell, or the next list is
// asked again. What an event has told meanwhile is not forgotten.
func (w *Watcher) learn(server string, p page) {
	for _, c := range p.Data.Clients {
		id := ID{server, c.CID}
		if _, known := w.owners.of(id); known || c.JWT == "" {
			continue
		}
		peel, _ := c.peel()
		w.owners.put(id, peel)
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
func restPages(ctx context.Context, sys *nats.Conn, p page) ([]client, error) {
	server := p.Server
	var out []client
	for {
		out = append(out, p.Data.Clients...)
		if len(p.Data.Clients) < listPage || len(out) >= p.Data.Total {
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
