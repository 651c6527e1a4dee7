package industrial

import (
	"strconv"

	"github.com/rind-project/rind/internal/network/packet/parse"
)

const (
	mbapLen   = 7
	maxModbus = 254  // unit and PDU
	exception = 0x80 // bit of the function in an answer
)

// Modbus is a connection of Modbus/TCP.
type Modbus struct {
	table *Table
	known bool
}

var _ parse.Stream = (*Modbus)(nil)

// NewModbus makes a Modbus whose functions the table sums.
func (t *Table) NewModbus() *Modbus { return &Modbus{table: t} }

// Reset makes it ready for the next connection.
func (m *Modbus) Reset() { m.known = false }

// LooksLikeModbus reports whether b begins like a Modbus/TCP message: protocol
// 0, a length that can be and a function that is one.
func LooksLikeModbus(b []byte) bool {
	if len(b) < mbapLen+1 {
		return false
	}
	size := be.Uint16(b[4:])
	return be.Uint16(b[2:]) == 0 && size >= 2 && size <= maxModbus && modbusName(b[7]&^exception) != ""
}

// Next takes a message.
func (m *Modbus) Next(out *parse.Out, side int, b []byte) (int, error) {
	if len(b) < mbapLen+1 {
		return 0, nil
	}
	size := int(be.Uint16(b[4:]))
	if be.Uint16(b[2:]) != 0 || size < 2 || size > maxModbus {
		return 0, m.bad()
	}
	function, response := b[7], side == parse.Server
	failed := response && function&exception != 0
	if failed {
		function &^= exception
	}
	name := modbusName(function)
	if name == "" {
		if !m.known || function == 0 || function&exception != 0 {
			return 0, m.bad()
		}
		name = "function " + strconv.Itoa(int(function))
	}
	m.known = true
	m.table.add(out, sum{protocol: "modbus", unit: uint16(b[6]), function: function, name: name, response: response, failed: failed})
	return 6 + size, nil
}

func (m *Modbus) bad() error {
	if m.known {
		return parse.ErrMalformed
	}
	return parse.ErrNot
}

// End does nothing: the sums are the Table's.
func (m *Modbus) End(*parse.Out) {}

// modbusName is the name of a public function (Modbus Application Protocol
// V1.1b3, section 5.1), or "".
func modbusName(function uint8) string {
	switch function {
	case 1:
		return "read coils"
	case 2:
		return "read discrete inputs"
	case 3:
		return "read holding registers"
	case 4:
		return "read input registers"
	case 5:
		return "write single coil"
	case 6:
		return "write single register"
	case 7:
		return "read exception status"
	case 8:
		return "diagnostics"
	case 11:
		return "get event counter"
	case 12:
		return "get event log"
	case 15:
		return "write multiple coils"
	case 16:
		return "write multiple registers"
	case 17:
		return "report server id"
	case 20:
		return "read file record"
	case 21:
		return "write file record"
	case 22:
		return "mask write register"
	case 23:
		return "read/write multiple registers"
	case 24:
		return "read fifo queue"
	case 43:
		return "encapsulated interface"
	case 90:
		return "unity" // Schneider's, undocumented and common
	}
	return ""
}
