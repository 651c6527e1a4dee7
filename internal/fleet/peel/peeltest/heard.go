package peeltest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// heard is what a master has heard of peels.
type heard struct {
	mu      sync.Mutex
	beats   []string // payloads
	facts   []string
	asks    []string                  // subjects
	returns map[string][]fleet.Return // by job, each time that it came
	conns   []string                  // "+cid" and "-cid", in their order
	bad     []string                  // replies that are in no own inbox
	answer  func(msg *nats.Msg, nth int)
}

func newHeard() *heard { return &heard{returns: map[string][]fleet.Return{}} }

// answers says what becomes of the nth return of a job; nil accepts all.
func (h *heard) answers(fn func(msg *nats.Msg, nth int)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = fn
}

// listen subscribes as a master does.
func (w *world) listen() {
	w.t.Helper()
	nc, sys := w.Connect(w.Bus.ServerUser), w.Connect(w.Bus.SystemUser)
	for subject, fn := range map[string]nats.MsgHandler{
		bus.AllHeartbeats: w.heard.onBeat, bus.AllFacts: w.heard.onFacts, bus.AllReturns: w.heard.onReturn, bus.AllAsks: w.heard.onAsk,
	} {
		if _, err := nc.Subscribe(subject, fn); err != nil {
			w.t.Fatal(err)
		}
	}
	// One subscription, since the order of two is nobody's promise.
	if _, err := sys.Subscribe("$SYS.ACCOUNT.*.*", w.heard.onConn); err != nil {
		w.t.Fatal(err)
	}
	w.conns = []*nats.Conn{nc, sys}
	for _, c := range w.conns {
		if err := c.Flush(); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (h *heard) onConn(m *nats.Msg) {
	mark := "+"
	switch {
	case strings.HasSuffix(m.Subject, ".DISCONNECT"):
		mark = "-"
	case !strings.HasSuffix(m.Subject, ".CONNECT"):
		return
	}
	var e struct {
		Client struct {
			ID   uint64 `json:"id"`
			Name string `json:"name"`
		} `json:"client"`
	}
	if json.Unmarshal(m.Data, &e) != nil || !strings.HasPrefix(e.Client.Name, "suite-") {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns = append(h.conns, fmt.Sprintf("%s%d", mark, e.Client.ID))
}

func (h *heard) onBeat(m *nats.Msg) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.beats = append(h.beats, m.Subject+" "+string(m.Data))
}

func (h *heard) onFacts(m *nats.Msg) {
	h.mu.Lock()
	h.facts = append(h.facts, m.Subject+" "+string(m.Data))
	h.mu.Unlock()
	bus.Accept(m)
}

func (h *heard) onAsk(m *nats.Msg) {
	h.mu.Lock()
	h.asks = append(h.asks, m.Subject)
	h.mu.Unlock()
	bus.Accept(m)
}

func (h *heard) onReturn(m *nats.Msg) {
	jid, id, _, ok := bus.ParseReturn(m.Subject)
	var r fleet.Return
	err := json.Unmarshal(m.Data, &r)
	h.mu.Lock()
	if !ok || err != nil || !strings.HasPrefix(m.Reply, bus.InboxPrefix(id)+".") {
		h.bad = append(h.bad, fmt.Sprintf("%s with the reply %s: %v", m.Subject, m.Reply, err))
	}
	h.returns[jid] = append(h.returns[jid], r)
	nth, answer := len(h.returns[jid]), h.answer
	h.mu.Unlock()
	if answer == nil {
		bus.Accept(m)
		return
	}
	answer(m, nth)
}

// of returns what came of a job.
func (h *heard) of(jid string) []fleet.Return {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.returns[jid])
}

func (h *heard) connections() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.conns)
}
