package wifi

import "github.com/rind-project/rind/internal/network"

// Types of frames (IEEE 802.11-2020, 9.2.4.1.3).
const (
	kindManagement = iota
	kindControl
	kindData
	kindExtension
)

// Bits of the second byte of the frame control field.
const (
	toDS      = 0x01
	fromDS    = 0x02
	moreFrags = 0x04
	retry     = 0x08
	protected = 0x40
	order     = 0x80
)

// frame is the MAC header of the frame in hand.
type frame struct {
	ts         int64
	kind       uint8
	subtype    uint8
	flags      uint8
	qos        uint8 // first byte of the QoS control field
	hasQoS     bool
	hasTA      bool
	a1, a2, a3 network.MAC
	a4         network.MAC
	seq        uint16 // sequence control: fragment in the low 4 bits
	size       int    // on the air, without FCS
	body       []byte // as far as captured
	onNet      int    // length of the body on the air
}

// parse reads the MAC header. Management is its answer for any frame that is
// well formed.
func (f *frame) parse(ts int64, b []byte, size int, padded bool) Status {
	*f = frame{ts: ts, size: size}
	if len(b) < 2 {
		return ShortHeader
	}
	if b[0]&3 != 0 {
		return BadVersion
	}
	f.kind, f.subtype, f.flags = b[0]>>2&3, b[0]>>4, b[1]
	head := f.headLen()
	if len(b) < head {
		return ShortHeader
	}
	if head < 10 {
		return Management
	}
	f.a1 = network.MAC(b[4:])
	if f.hasTA {
		f.a2 = network.MAC(b[10:])
	}
	if f.kind == kindManagement || f.kind == kindData {
		f.a3, f.seq = network.MAC(b[16:]), le.Uint16(b[22:])
	}
	if f.kind == kindData {
		at := 24
		if f.flags&(toDS|fromDS) == toDS|fromDS {
			f.a4, at = network.MAC(b[24:]), 30
		}
		if f.hasQoS {
			f.qos = b[at]
		}
		if padded {
			head = min((head+3)&^3, len(b))
		}
	}
	f.body, f.onNet = b[head:], size-head
	return Management
}

// headLen is the length of the MAC header (9.2.4, 9.3.1).
func (f *frame) headLen() int {
	switch f.kind {
	case kindManagement:
		f.hasTA = true
		if f.flags&order != 0 {
			return 28 // HT Control
		}
		return 24
	case kindControl:
		if f.hasTA = controlHasTA(f.subtype); f.hasTA {
			return 16
		}
		return 10
	case kindData:
		f.hasTA = true
		n := 24
		if f.flags&(toDS|fromDS) == toDS|fromDS {
			n += 6
		}
		if f.hasQoS = f.subtype&8 != 0; f.hasQoS {
			n += 2
			if f.flags&order != 0 {
				n += 4
			}
		}
		return n
	case kindExtension:
		if f.subtype == extDMGBeacon {
			return 10
		}
	}
	return 2
}

// group reports whether an address is of many stations, or of none.
func group(m network.MAC) bool { return m[0]&1 != 0 || m == network.MAC{} }
