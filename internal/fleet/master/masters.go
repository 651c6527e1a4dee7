package master

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// Pace of heartbeats. A master that is killed is noticed after missBeats of
// them, at most ten seconds.
const (
	beatEvery = 2 * time.Second
	missBeats = 4
)

// heartbeat is what a master writes under its name.
type heartbeat struct {
	Name     string    `json:"name"`
	Instance string    `json:"instance"` // another one at each start
	Host     string    `json:"host,omitempty"`
	Version  string    `json:"version,omitempty"`
	Started  time.Time `json:"started"`
	At       time.Time `json:"at"`
	Beat     int       `json:"beat"` // since the start
}

// masters knows which masters live. Time is counted in this master's own
// heartbeats as the bucket shows them: while the bus takes none, as during an
// election, nobody is taken for dead.
type masters struct {
	own  string // key of this master
	mine heartbeat
	left chan struct{} // a token when one has said that it ends

	mu    sync.Mutex
	beats int // own ones seen
	seen  map[string]lastBeat
	stale string          // instance that had this master's name before it
	lost  bool            // the name is another one's
	busy  map[string]bool // jobs that are being taken up
}

// lastBeat is the newest heartbeat of a master.
type lastBeat struct {
	revision uint64
	at       int // own beats by then
}

func newMasters(own string, mine heartbeat) *masters {
	return &masters{own: own, mine: mine, left: make(chan struct{}, 1), seen: map[string]lastBeat{}, busy: map[string]bool{}}
}

// begin reports whether nobody here takes up the job already; end has to
// follow.
func (s *masters) begin(jid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[jid] {
		return false
	}
	s.busy[jid] = true
	return true
}

func (s *masters) end(jid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, jid)
}

// apply takes an entry of the bucket. It returns the heartbeat of another
// master with this one's name, which has been there for longer.
func (s *masters) apply(e jetstream.KeyValueEntry) *heartbeat {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := e.Key()
	if e.Revision() <= s.seen[name].revision {
		return nil // told again
	}
	if e.Operation() != jetstream.KeyValuePut {
		delete(s.seen, name)
		select {
		case s.left <- struct{}{}:
		default:
		}
		return nil
	}
	if name != s.own {
		s.seen[name] = lastBeat{e.Revision(), s.beats}
		return nil
	}
	var b heartbeat
	if err := json.Unmarshal(e.Value(), &b); err != nil {
		return nil
	}
	s.seen[name] = lastBeat{e.Revision(), s.beats}
	switch {
	case b.Instance == s.mine.Instance:
		s.beats++
	case s.beats == 0:
		s.stale = b.Instance // whether it lives, its next beat shows
	case cmp.Or(cmp.Compare(b.Beat, s.beats), cmp.Compare(b.Instance, s.mine.Instance)) > 0:
		s.lost = true
		return &b
	}
	return nil
}

// alive reports whether a master's heartbeat was seen lately.
func (s *masters) alive(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, known := s.seen[name]
	return known && s.beats-last.at < missBeats
}

// named reports whether this master has its name for itself, as far as one can
// know: nobody had it before, or whoever did has been silent since.
func (s *masters) named() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.beats > 0 && (s.stale == "" || s.beats > missBeats)
}

// followMasters watches the heartbeats, and returns when those that there are
// have been read.
func (m *Master) followMasters(ctx context.Context, l *live) error {
	host, _ := os.Hostname() // only shown to people
	l.masters = newMasters(m.name, heartbeat{
		Name: m.cfg.Name, Instance: rand.Text(), Host: host, Version: m.deps.Version, Started: time.Now().UTC(),
	})
	kv, err := l.js.KeyValue(ctx, bus.MasterHeartbeat)
	if err != nil {
		return bus.Explain(bus.MasterHeartbeat, err)
	}
	return m.watch(ctx, l, kv, bus.MasterHeartbeat, "*", func(e jetstream.KeyValueEntry) {
		other := l.masters.apply(e)
		if other == nil {
			return
		}
		select {
		case m.died <- errs.New(errs.Conflict, "another master is called %q already, on the host %q since %s; give each its own name with master.name, and start this one again", other.Name, other.Host, other.Started.Format(time.RFC3339)):
		default:
		}
	})
}

// beatLoop says that this master lives, until it ends, and then says that. As
// soon as the name is its own it takes up the jobs that it left open.
func (m *Master) beatLoop(l *live) {
	taken := false
	for n := 1; ; n++ {
		if err := m.beat(l, n); err != nil && l.ctx.Err() == nil {
			m.log.Warn("cannot write this master's heartbeat", "error", err)
		}
		for wait := time.Now().Add(beatEvery); time.Now().Before(wait); {
			if !taken && l.masters.named() {
				taken = true
				m.takeUp(l)
			}
			step := time.Until(wait)
			if !taken {
				step = min(step, 50*time.Millisecond)
			}
			if !l.sleep(step) {
				m.leave(l)
				return
			}
		}
	}
}

func (m *Master) beat(l *live, n int) error {
	b := l.masters.mine
	b.At, b.Beat = time.Now().UTC(), n
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(l.ctx, 5*time.Second)
	defer cancel()
	_, err = l.js.Publish(ctx, "$KV."+bus.MasterHeartbeat+"."+m.name, text)
	return bus.Explain(bus.MasterHeartbeat, err)
}

// leave takes this master's heartbeat away, so that another one takes up its
// jobs at once. Without it that takes some seconds more.
func (m *Master) leave(l *live) {
	l.masters.mu.Lock()
	lost := l.masters.lost
	l.masters.mu.Unlock()
	if lost {
		return // what stands there is another one's
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), 5*time.Second)
	defer cancel()
	kv, err := l.js.KeyValue(ctx, bus.MasterHeartbeat)
	if err == nil {
		err = kv.Delete(ctx, m.name)
	}
	if err != nil {
		m.log.Warn("cannot tell the other masters that this one ends; they notice within ten seconds", "error", err)
	}
}
