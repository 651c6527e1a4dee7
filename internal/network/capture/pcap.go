package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/rind-project/rind/internal/network/packet"
)

const (
	pcapHeader = 24
	pcapRecord = 16
)

// pcap reads the classic format (draft-ietf-opsawg-pcap): microseconds or
// nanoseconds, in the byte order of the host that wrote it.
type pcap struct {
	in    *reader
	order binary.ByteOrder
	big   bool  // order is BigEndian
	unit  int64 // nanoseconds of one tick
	link  packet.LinkType
	taken int // bytes of the records handed out last
}

// pcapMagic recognises the four variants.
func pcapMagic(m [4]byte) (pcap, bool) {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch order.Uint32(m[:]) {
		case 0xa1b2c3d4:
			return pcap{order: order, big: order == binary.BigEndian, unit: 1000}, true
		case 0xa1b23c4d:
			return pcap{order: order, big: order == binary.BigEndian, unit: 1}, true
		}
	}
	return pcap{}, false
}

func newPcap(in *reader, p pcap) (*pcap, error) {
	b, err := in.peek(pcapHeader)
	if err != nil {
		return nil, short(in, err, len(b), pcapHeader, "file header")
	}
	if major := p.order.Uint16(b[4:]); major != 2 {
		return nil, &damage{4, fmt.Sprintf("version %d of pcap; only 2 is known", major)}
	}
	p.in = in
	p.link = packet.LinkType(p.order.Uint32(b[20:])) // the upper half says whether frames carry an FCS
	in.skip(pcapHeader)
	return &p, nil
}

func (p *pcap) next(list []record) (int, error) {
	p.in.skip(p.taken)
	p.taken = 0
	b, err := p.in.peek(pcapRecord)
	if err != nil {
		if errors.Is(err, io.EOF) {
			return 0, io.EOF
		}
		return 0, short(p.in, err, len(b), pcapRecord, "record header")
	}
	size := p.uint32(b[8:])
	if size > maxRecord {
		return 0, &damage{p.in.off, fmt.Sprintf("a record says it has %d bytes; the limit is %d", size, maxRecord)}
	}
	if b, err = p.in.peek(pcapRecord + int(size)); err != nil {
		return 0, short(p.in, err, len(b)-pcapRecord, int(size), "record")
	}
	return p.whole(list, p.in.buf[p.in.lo:p.in.hi]), nil
}

// whole reads the records that lie whole in b, the first of which does.
func (p *pcap) whole(list []record, b []byte) (n int) {
	for n < len(list) && len(b) >= pcapRecord {
		sec, frac, size, wire := p.uint32(b), p.uint32(b[4:]), p.uint32(b[8:]), p.uint32(b[12:])
		if size > maxRecord || int(size) > len(b)-pcapRecord {
			break
		}
		end := pcapRecord + int(size)
		r := &list[n] // written where it stands: a copy waits for what was just written
		r.ts, r.link, r.data, r.wire = int64(sec)*1e9+int64(frac)*p.unit, p.link, b[pcapRecord:end:end], int(max(wire, size))
		n++
		p.taken += end
		b = b[end:]
	}
	return n
}

// uint32 is order.Uint32, which the compiler cannot see through.
func (p *pcap) uint32(b []byte) uint32 {
	if p.big {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

// short is the damage of a part that the file's end cut off. An error of the
// operating system stays what it is.
func short(in *reader, err error, have, need int, what string) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return &damage{in.off, fmt.Sprintf("the file ends inside a %s: %d of %d bytes are there", what, max(have, 0), need)}
}
