package filter

import (
	"encoding/binary"

	"golang.org/x/net/bpf"
)

// Where a packet socket's filter finds what is not in the frame
// (linux/filter.h: SKF_AD_OFF and what is added to it).
const (
	auxBase        = 0xfffff000
	auxPacketType  = auxBase + 4
	auxTag         = auxBase + 44
	auxTagPresent  = auxBase + 48
	packetOutgoing = 4 // linux/if_packet.h
)

// aux is what the kernel knows of a packet beside its bytes.
type aux struct {
	tagged   bool
	tag      uint16
	packetOf uint32
}

// load reads from outside the frame.
func (a *aux) load(k uint32) (uint32, bool) {
	switch k {
	case auxPacketType:
		return a.packetOf, true
	case auxTag:
		return uint32(a.tag), true
	case auxTagPresent:
		if a.tagged {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// run executes a program as the kernel does: the result is how many bytes of
// the packet to keep, and 0 is none. Reading past the end of the packet
// returns 0. Programs only jump forward, so it ends.
func run(code []bpf.RawInstruction, data []byte, wireLen int, x aux) uint32 {
	var m machine
	m.data, m.length = data, uint32(wireLen)
	for pc := 0; pc < len(code); pc++ {
		i := &code[pc]
		switch i.Op & 7 {
		case 0: // load A
			if i.K >= auxBase && i.Op&0xe0 == 0x20 {
				v, ok := x.load(i.K)
				if !ok {
					return 0
				}
				m.a = v
			} else if !m.load(i.Op, i.K) {
				return 0
			}
		case 1: // load X
			if !m.loadX(i.Op, i.K) {
				return 0
			}
		case 2:
			m.scratch[i.K&15] = m.a
		case 4:
			if !m.alu(i.Op, i.K) {
				return 0
			}
		case 5:
			pc += m.jump(i)
		case 6:
			return i.K
		case 7:
			if i.Op == opTAX {
				m.x = m.a
			} else {
				m.a = m.x
			}
		}
	}
	return 0
}

// machine holds the registers.
type machine struct {
	a, x    uint32
	scratch [16]uint32
	data    []byte
	length  uint32
}

func (m *machine) load(op uint16, k uint32) bool {
	at := uint64(k)
	switch op & 0xe0 {
	case 0x00:
		m.a = k
		return true
	case 0x60:
		m.a = m.scratch[k&15]
		return true
	case 0x80:
		m.a = m.length
		return true
	case 0x40:
		at += uint64(m.x)
	}
	switch size := uint64(len(m.data)); op & 0x18 {
	case 0x00:
		if at+4 > size {
			return false
		}
		m.a = binary.BigEndian.Uint32(m.data[at:])
	case 0x08:
		if at+2 > size {
			return false
		}
		m.a = uint32(binary.BigEndian.Uint16(m.data[at:]))
	default:
		if at >= size {
			return false
		}
		m.a = uint32(m.data[at])
	}
	return true
}

func (m *machine) loadX(op uint16, k uint32) bool {
	switch op {
	case opLoadXMem:
		m.x = m.scratch[k&15]
	default: // opLoadXIHL
		if uint64(k) >= uint64(len(m.data)) {
			return false
		}
		m.x = 4 * uint32(m.data[k]&15)
	}
	return true
}

// alu reports false for a division by zero, which selects nothing.
func (m *machine) alu(op uint16, k uint32) bool {
	v := k
	if op&opX != 0 {
		v = m.x
	}
	switch op &^ opX {
	case opAdd:
		m.a += v
	case opSub:
		m.a -= v
	case opMul:
		m.a *= v
	case opDiv, opMod:
		if v == 0 {
			return false
		}
		if op&^opX == opDiv {
			m.a /= v
		} else {
			m.a %= v
		}
	case opOr:
		m.a |= v
	case opAnd:
		m.a &= v
	case opXor:
		m.a ^= v
	case opShiftL:
		m.a <<= v
	case opShiftR:
		m.a >>= v
	case opNeg:
		m.a = -m.a
	}
	return true
}

// jump returns how many instructions to leave out.
func (m *machine) jump(i *bpf.RawInstruction) int {
	if i.Op == opJump {
		return int(i.K)
	}
	v, yes := i.K, false
	if i.Op&opX != 0 {
		v = m.x
	}
	switch i.Op &^ opX {
	case opEqual:
		yes = m.a == v
	case opGreater:
		yes = m.a > v
	case opGreaterEqual:
		yes = m.a >= v
	case opSet:
		yes = m.a&v != 0
	}
	if yes {
		return int(i.Jt)
	}
	return int(i.Jf)
}
