package soak

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"github.com/rind-project/rind/internal/network/packet"
)

// lies are values that stand where a length, a count or an offset may be.
var lies = [...]uint16{0, 1, 2, 3, 4, 7, 0x10, 0x3f, 0x7f, 0x80, 0xc0, 0xff, 0x100, 0x7fff, 0x8000, 0xc00c, 0xfffe, 0xffff}

// mutator spoils captures. Of one seed it does the same every time.
type mutator struct {
	*rand.Rand
	all []*trace
}

// spoil returns a part of the capture as hostile hands and bad cables leave it.
// Some rounds are light, so that conversations go on far enough to be read,
// and others spare nothing.
func (m *mutator) spoil(c *trace) []frame {
	from := m.IntN(len(c.frames))
	if len(c.frames) < 1000 || m.IntN(2) == 0 {
		from = 0
	}
	in := c.frames[from:min(from+1+m.IntN(2000), len(c.frames))]
	bad := [...]float64{0.01, 0.05, 0.2, 0.9}[m.IntN(4)]
	out := make([]frame, 0, len(in)+len(in)/4)
	for _, f := range in {
		switch p := m.Float64(); {
		case p < bad/8: // dropped
		case p < bad/4:
			out = append(out, f, f)
		case p < bad:
			out = append(out, m.packet(f))
		default:
			out = append(out, f)
		}
	}
	m.reorder(out, bad)
	m.times(out)
	return out
}

// reorder moves packets by some places.
func (m *mutator) reorder(out []frame, bad float64) {
	if len(out) < 2 || m.IntN(2) == 0 {
		return
	}
	for range int(bad*float64(len(out))) / 2 {
		i := m.IntN(len(out))
		j := min(i+1+m.IntN(8), len(out)-1)
		out[i].ts, out[j].ts = out[j].ts, out[i].ts
		out[i], out[j] = out[j], out[i]
	}
}

// times has clocks jump now and then.
func (m *mutator) times(out []frame) {
	for range m.IntN(3) * m.IntN(2) {
		if len(out) == 0 {
			return
		}
		by := m.Int64N(2*3600e9) - 3600e9
		for i := m.IntN(len(out)); i < len(out); i++ {
			out[i].ts = max(out[i].ts+by, 0)
		}
	}
}

// packet spoils one packet, once or several times over.
func (m *mutator) packet(f frame) frame {
	f.data = slices.Clone(f.data)
	for range 1 + m.IntN(3) {
		m.once(&f)
	}
	return f
}

func (m *mutator) once(f *frame) {
	if len(f.data) == 0 {
		return
	}
	at := m.place(f.data)
	switch m.IntN(10) {
	case 0, 1, 2:
		for range 1 + m.IntN(8) {
			f.data[m.place(f.data)] ^= 1 << m.IntN(8)
		}
	case 3, 4: // a length, a count or an offset that lies
		if v := lies[m.IntN(len(lies))]; m.IntN(2) == 0 || at+2 > len(f.data) {
			f.data[at] = byte(v)
		} else {
			binary.BigEndian.PutUint16(f.data[at:], v)
		}
	case 5: // the capture cut it off
		f.data = f.data[:at]
	case 6: // it was cut off on the wire
		f.data, f.wire = f.data[:at], at
	case 7: // the length on the wire lies
		f.wire = m.IntN(1 << (1 + m.IntN(20)))
	case 8: // the end is another packet's, or a part comes twice
		other := m.all[m.IntN(len(m.all))]
		b := other.frames[m.IntN(len(other.frames))].data
		if m.IntN(3) == 0 {
			b = f.data
		}
		if len(b) > 0 {
			f.data = append(f.data[:at:at], b[m.IntN(len(b)):]...)
		}
		f.wire = max(f.wire, len(f.data))
	case 9:
		if m.IntN(10) == 0 {
			f.link = m.all[m.IntN(len(m.all))].frames[0].link
			return
		}
		for n := m.IntN(64); n > 0 && at < len(f.data); n-- { // noise
			f.data[at] = byte(m.Uint32())
			at++
		}
	}
}

// place chooses a byte: headers and the beginnings of payloads more often.
func (m *mutator) place(b []byte) int {
	most := [...]int{54, 54 + 64, 54 + 400, len(b)}[m.IntN(4)]
	from := 0
	if most > 54 && m.IntN(3) > 0 {
		from = 34 // so that flows stay whole
	}
	if most = min(most, len(b)); from >= most {
		from = 0
	}
	return from + m.IntN(most-from)
}

// file writes packets of one link type as a capture file (nanoseconds, little
// endian), whose own bytes are spoiled in some rounds.
func (m *mutator) file(frames []frame) []byte {
	le := binary.LittleEndian
	var b []byte
	link := packet.LinkEthernet
	if len(frames) > 0 {
		link = frames[0].link
	}
	for _, v := range [...]uint32{0xa1b23c4d, 2 | 4<<16, 0, 0, 262144, uint32(link)} {
		b = le.AppendUint32(b, v)
	}
	for _, f := range frames {
		for _, v := range [...]uint32{uint32(f.ts / 1e9), uint32(f.ts % 1e9), uint32(len(f.data)), uint32(f.wire)} {
			b = le.AppendUint32(b, v)
		}
		b = append(b, f.data...)
	}
	if records := b[24:]; len(records) > 0 && m.IntN(2) == 0 {
		for range 1 + m.IntN(4) {
			records[m.IntN(len(records))] ^= 1 << m.IntN(8)
		}
	}
	return b
}
