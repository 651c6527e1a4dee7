// Package heartbeat tells which masters of the fleet live, and says that this
// one does, in the bucket master-heartbeat. A name is one master's alone.
package heartbeat

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
)

// Pace of heartbeats. A master that is killed is noticed after missBeats of
// them, at most ten seconds.
const (
	beatEvery = 2 * time.Second
	missBeats = 4
)

// beat is what a master writes under its name.
type beat struct {
	Name     string    `json:"name"`
	Instance string    `json:"instance"` // another one at each start
	Host     string    `json:"host,omitempty"`
	Version  string    `json:"version,omitempty"`
	Started  time.Time `json:"started"`
	At       time.Time `json:"at"`
	Beat     int       `json:"beat"` // since the start
}

// Config says who this master is.
type Config struct {
	Key     string // of this master in the bucket
	Name    string // as people gave it
	Version string
}

// Deps are what is needed to be seen.
type Deps struct {
	Log *slog.Logger
	JS  jetstream.JetStream
}

// Masters knows which masters live. Time is counted in this master's own
// heartbeats as the bucket shows them: while the bus takes none, as during an
// election, nobody is taken for dead. Use New.
type Masters struct {
	key  string
	mine beat
	deps Deps
	left chan struct{}

	mu    sync.Mutex
	beats int // own ones seen
	seen  map[string]lastBeat
	stale string // instance that had this master's name before it
	lost  bool   // the name is another one's
}

// lastBeat is the newest heartbeat of a master.
type lastBeat struct {
	revision uint64
	at       int // own beats by then
}

// New makes what does nothing yet.
func New(cfg Config, deps Deps) *Masters {
	host, _ := os.Hostname() // only shown to people
	return &Masters{key: cfg.Key, deps: deps, left: make(chan struct{}, 1), seen: map[string]lastBeat{},
		mine: beat{Name: cfg.Name, Instance: rand.Text(), Host: host, Version: cfg.Version, Started: time.Now().UTC()}}
}

// Left yields a token when one has said that it ends.
func (s *Masters) Left() <-chan struct{} { return s.left }

// Apply takes an entry of the bucket. It returns an error when another master
// has this one's name, and has been there for longer.
func (s *Masters) Apply(e jetstream.KeyValueEntry) error {
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
	if name != s.key {
		s.seen[name] = lastBeat{e.Revision(), s.beats}
		return nil
	}
	var b beat
	if json.Unmarshal(e.Value(), &b) != nil {
		return nil // no master wrote that
	}
	s.seen[name] = lastBeat{e.Revision(), s.beats}
	switch {
	case b.Instance == s.mine.Instance:
		s.beats++
	case s.beats == 0:
		s.stale = b.Instance // whether it lives, its next beat shows
	case cmp.Or(cmp.Compare(b.Beat, s.beats), cmp.Compare(b.Instance, s.mine.Instance)) > 0:
		s.lost = true
		return errs.New(errs.Conflict, "another master is called %q already, on the host %q since %s; give each its own name with master.name, and start this one again", b.Name, b.Host, b.Started.Format(time.RFC3339))
	}
	return nil
}

// Alive reports whether a master's heartbeat was seen lately.
func (s *Masters) Alive(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, known := s.seen[name]
	return known && s.beats-last.at < missBeats
}

// Named reports whether this master has its name for itself, as far as one can
// know: nobody had it before, or whoever did has been silent since.
func (s *Masters) Named() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.beats > 0 && (s.stale == "" || s.beats > missBeats)
}
