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
	unit  int64 // nanoseconds of one tick
	link  packet.LinkType
	taken int // bytes of the record handed out last
}

// pcapMagic recognises the four variants.
func pcapMagic(m [4]byte) (pcap, bool) {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch order.Uint32(m[:]) {
		case 0xa1b2c3d4:
			return pcap{order: order, unit: 1000}, true
		case 0xa1b23c4d:
			return pcap{order: order, unit: 1}, true
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

func (p *pcap) next(rec *record) error {
	p.in.skip(p.taken)
	p.taken = 0
	b, err := p.in.peek(pcapRecord)
	if err != nil {
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		return short(p.in, err, len(b), pcapRecord, "record header")
	}
	sec, frac := p.order.Uint32(b), p.order.Uint32(b[4:])
	size, wire := p.order.Uint32(b[8:]), p.order.Uint32(b[12:])
	if size > maxRecord {
		return &damage{p.in.off, fmt.Sprintf("a record says it has %d bytes; the limit is %d", size, maxRecord)}
	}
	all, err := p.in.peek(pcapRecord + int(size))
	if err != nil {
		return short(p.in, err, len(all)-pcapRecord, int(size), "record")
	}
	p.taken = len(all)
	rec.ts = int64(sec)*1e9 + int64(frac)*p.unit
	rec.link, rec.data, rec.wire = p.link, all[pcapRecord:], int(max(wire, size))
	return nil
}

// short is the damage of a part that the file's end cut off. An error of the
// operating system stays what it is.
func short(in *reader, err error, have, need int, what string) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return &damage{in.off, fmt.Sprintf("the file ends inside a %s: %d of %d bytes are there", what, max(have, 0), need)}
}
