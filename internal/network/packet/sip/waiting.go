package sip

import (
	"net/netip"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// patience is how long a request waits for its final answer: what a proxy
// grants an INVITE (timer C, RFC 3261 section 16.6).
const patience = 3 * time.Minute

// key is what an answer shares with its request (RFC 3261 section 17.1.3), and
// who sent the request.
type key struct {
	client, server         netip.Addr
	clientPort, serverPort uint16
	vlan                   uint16
	side                   int
	cseq                   uint64
	method, callID         string
}

// transaction is a request. One that is finished stays for a while, so that
// what is sent again is no news.
type transaction struct {
	key  key
	row  network.SIP
	done bool
}

// table keeps up to max transactions, a ring in which the newest pushes the
// oldest out.
type table struct {
	max  int
	ring []transaction
	next int // the slot to be used, once the ring is full
	old  int // the slot to be looked at for its age
	at   map[key]int
}

func newTable(limit int) *table { return &table{max: limit, at: map[key]int{}} }

func (t *table) reset() {
	clear(t.ring)
	clear(t.at)
	t.ring, t.next, t.old = t.ring[:0], 0, 0
}

// take puts a message into the table, and a row out when its transaction is
// finished by it.
func (t *table) take(out *parse.Out, side int, m *message) {
	t.age(out)
	k := key{
		client: out.Client, server: out.Server, clientPort: out.ClientPort, serverPort: out.ServerPort, vlan: out.VLAN,
		side: side, cseq: m.cseq, method: m.method, callID: m.callID,
	}
	if m.status != 0 {
		k.side = 1 - side
	}
	i, found := t.at[k]
	switch {
	case found && m.status == 0:
		return // sent again
	case !found:
		i = t.open(out, k, m)
	}
	x := &t.ring[i]
	if x.done {
		return
	}
	if m.status != 0 {
		x.row.Status = m.status
		if found {
			x.row.Latency = max(0, out.Time.Sub(x.row.Time))
		}
		if x.row.Agent == "" {
			x.row.Agent = m.agent
		}
	}
	// Nobody answers an ACK.
	if m.status >= 200 || m.method == "ACK" {
		t.finish(out, x)
	}
}

// open makes a place for a transaction.
func (t *table) open(out *parse.Out, k key, m *message) int {
	i := len(t.ring)
	if i < t.max {
		t.ring = append(t.ring, transaction{})
	} else {
		i = t.next
		t.next = (t.next + 1) % t.max
		t.finish(out, &t.ring[i])
		delete(t.at, t.ring[i].key)
	}
	t.ring[i] = transaction{key: k, row: network.SIP{
		Session: out.Session, Method: m.method, URI: m.uri, From: m.from, To: m.to, CallID: m.callID, Agent: m.agent,
	}}
	t.at[k] = i
	return i
}

func (t *table) finish(out *parse.Out, x *transaction) {
	if !x.done {
		x.done = true
		parse.Add(out, &out.Records.SIP, x.row)
	}
}

// age looks at two slots, so that every one is looked at in turn.
func (t *table) age(out *parse.Out) {
	for range min(2, len(t.ring)) {
		t.old = (t.old + 1) % len(t.ring)
		if x := &t.ring[t.old]; out.Time.Sub(x.row.Time) > patience {
			t.finish(out, x)
		}
	}
}

// expire puts out what waits since before a time.
func (t *table) expire(out *parse.Out, before time.Time) {
	for i := range t.ring {
		if x := &t.ring[i]; x.row.Time.Before(before) {
			t.finish(out, x)
		}
	}
}

// flush puts out all that waits.
func (t *table) flush(out *parse.Out) {
	for i := range t.ring {
		t.finish(out, &t.ring[i])
	}
}
