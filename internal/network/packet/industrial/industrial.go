// Package industrial reads the functions that control protocols ask for:
// Modbus/TCP (Modbus Messaging on TCP/IP, V1.0b) and DNP3 (IEEE 1815). They
// are summed per flow, unit and function in a report.
package industrial

import (
	"encoding/binary"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

var (
	be = binary.BigEndian
	le = binary.LittleEndian
)

// The ports.
const (
	PortModbus = 502
	PortDNP3   = 20000
)

// MaxSums is how many different functions, units and flows one report has at
// most.
const MaxSums = 16384

// Table sums functions until a report is cut. One serves a pipeline, and all
// parsers of this package that belong to it.
type Table struct {
	index map[network.Industrial]int32 // with no time and no counts
	rows  []network.Industrial
}

var _ parse.Cutter = (*Table)(nil)

// New makes a Table.
func New() *Table { return &Table{index: map[network.Industrial]int32{}} }

// sum is what one message adds.
type sum struct {
	protocol, name   string
	unit, source     uint16
	function         uint8
	response, failed bool
}

// add counts a message. One that is new and finds the table full is counted in
// out.Over.
func (t *Table) add(out *parse.Out, s sum) {
	k := network.Industrial{Session: out.Session, Protocol: s.protocol, Unit: s.unit, Source: s.source, Function: s.function, Name: s.name}
	k.Time = time.Time{}
	i, known := t.index[k]
	if !known {
		if len(t.rows) >= MaxSums {
			out.Over++
			return
		}
		i = int32(len(t.rows))
		t.index[k] = i
		k.Time = out.Time
		t.rows = append(t.rows, k)
	}
	r := &t.rows[i]
	if s.response {
		r.Responses++
	} else {
		r.Requests++
	}
	if s.failed {
		r.Errors++
	}
}

// Cut puts the sums of this report into out.
func (t *Table) Cut(out *parse.Out, _ time.Time, _ bool) {
	for i := range t.rows {
		out.As(t.rows[i].Protocol)
		parse.Add(out, &out.Records.Industrial, t.rows[i])
	}
	if len(t.rows) > MaxSums/4 {
		t.index, t.rows = map[network.Industrial]int32{}, nil // what an odd report made large is not kept
		return
	}
	clear(t.index)
	t.rows = t.rows[:0]
}
