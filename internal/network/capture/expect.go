package capture

import "github.com/rind-project/rind/internal/network/packet"

// maxExpect is how many frames are shown ahead.
const maxExpect = 16

// Expecter is a Handler that is shown frames before they are handed to it, so
// that it can bring near what it needs for them. It is a hint: not all frames
// are shown, and none is counted.
type Expecter interface {
	Expect(link packet.LinkType, frames [][]byte)
}

// upcomer is a format that can show what lies in its buffer.
type upcomer interface {
	upcoming(frames [][]byte) (packet.LinkType, [][]byte)
}

// expect shows the next frames to h once those before are used up.
func (f *File) expect(e Expecter) {
	if f.shown = max(0, f.shown-1); f.shown > 0 {
		return
	}
	u, ok := f.format.(upcomer)
	if !ok {
		return
	}
	link, frames := u.upcoming(f.ahead[:0])
	if len(frames) > 0 {
		e.Expect(link, frames)
		f.shown = len(frames)
	}
}

// upcoming returns the frames behind the one handed out last that lie whole in
// the buffer.
func (p *pcap) upcoming(frames [][]byte) (packet.LinkType, [][]byte) {
	b := p.in.buf[p.in.lo:p.in.hi]
	for b = b[min(p.taken, len(b)):]; len(b) > pcapRecord && len(frames) < maxExpect; {
		size := p.order.Uint32(b[8:])
		if uint64(size) > uint64(len(b)-pcapRecord) {
			break
		}
		frames = append(frames, b[pcapRecord:pcapRecord+int(size)])
		b = b[pcapRecord+int(size):]
	}
	return p.link, frames
}
