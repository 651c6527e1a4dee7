package remoteid

import (
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// Table holds the aircraft of one report, up to a limit. It is not safe for
// concurrent use.
type Table struct {
	max             int
	at              map[key]int
	rows            []state
	over, malformed uint64
	lost            uint64 // in this report
}

type key struct {
	mac       network.MAC
	transport string
}

type state struct {
	key
	Aircraft
	last     int64
	signal   int8
	messages uint64
}

// NewTable makes a table for a number of aircraft.
func NewTable(limit int) *Table { return &Table{max: limit, at: map[key]int{}} }

// Message takes a message or a pack that a transmitter sent at ts
// (nanoseconds since 1970) with a signal in dBm, or 0.
func (t *Table) Message(ts int64, mac network.MAC, transport string, signal int8, b []byte) {
	k := key{mac, transport}
	i, ok := t.at[k]
	if !ok {
		t.add(ts, k, signal, b)
		return
	}
	t.rows[i].take(t, ts, signal, b)
}

func (t *Table) add(ts int64, k key, signal int8, b []byte) {
	s := state{key: k}
	if !s.take(t, ts, signal, b) {
		return
	}
	if len(t.rows) >= t.max {
		t.over++
		t.lost++
		return
	}
	t.at[k] = len(t.rows)
	t.rows = append(t.rows, s)
}

func (s *state) take(t *Table, ts int64, signal int8, b []byte) bool {
	n, err := s.Take(b)
	if err != nil {
		t.malformed++
		return false
	}
	s.messages += uint64(n)
	s.last = max(s.last, ts)
	if signal != 0 && (s.signal == 0 || signal > s.signal) {
		s.signal = signal
	}
	return true
}

// Over counts messages of aircraft that found no room.
func (t *Table) Over() uint64 { return t.over }

// Malformed counts what was no message.
func (t *Table) Malformed() uint64 { return t.malformed }

// Cut appends the aircraft of the report to out and begins the next one.
func (t *Table) Cut(out *parse.Out) {
	for i := range t.rows {
		s := &t.rows[i]
		d := s.row(out)
		d.Time, d.MAC, d.Transport, d.Signal, d.Messages = at(s.last), s.mac, s.transport, s.signal, s.messages
		parse.Add(out, &out.Records.Drones, d)
	}
	out.Over += t.lost
	t.lost = 0
	clear(t.at)
	t.rows = t.rows[:0]
}
