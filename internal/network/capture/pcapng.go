package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/rind-project/rind/internal/network/packet"
)

// The blocks that are read (draft-ietf-opsawg-pcapng); all others are passed
// over.
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 2 // obsolete
	blockSimple    = 3
	blockEnhanced  = 6

	byteOrderMagic = uint32(0x1a2b3c4d)
	blockFrame     = 12            // type, and length at both ends
	maxBlock       = 2 * maxRecord // of a block that is read: a packet and its options
	maxInterfaces  = 4096          // of a section
)

// pcapng reads the newer format: sections with interfaces of their own.
type pcapng struct {
	in         *reader
	order      binary.ByteOrder
	interfaces []ngInterface
	taken      int
	last       int64 // time of the packet before, for blocks that have none
}

// ngInterface is what an interface description says.
type ngInterface struct {
	link    packet.LinkType
	snaplen uint32
	clock   clock
}

func newPcapng(in *reader) (*pcapng, error) {
	p := &pcapng{in: in, order: binary.LittleEndian}
	typ, length, err := p.head()
	if errors.Is(err, io.EOF) {
		err = &damage{0, "the file is empty"}
	}
	if err != nil {
		return nil, err
	}
	return p, p.block(typ, length, nil)
}

func (p *pcapng) next(list []record) (int, error) {
	p.in.skip(p.taken)
	p.taken = 0
	for rec := &list[0]; ; {
		typ, length, err := p.head()
		if err != nil {
			return 0, err
		}
		rec.data = nil
		if err := p.block(typ, length, rec); err != nil {
			return 0, err
		}
		if rec.data != nil {
			return 1, nil
		}
	}
}

// head looks at the type and length of the next block.
func (p *pcapng) head() (typ, length uint32, err error) {
	b, err := p.in.peek(blockFrame)
	if err != nil {
		if errors.Is(err, io.EOF) {
			return 0, 0, io.EOF
		}
		return 0, 0, short(p.in, err, len(b), blockFrame, "block header")
	}
	typ = p.order.Uint32(b)
	if typ == blockSection { // the same in both orders; it sets the order
		switch byteOrderMagic {
		case binary.LittleEndian.Uint32(b[8:]):
			p.order = binary.LittleEndian
		case binary.BigEndian.Uint32(b[8:]):
			p.order = binary.BigEndian
		default:
			return 0, 0, p.damaged("a section without its byte order")
		}
	}
	length = p.order.Uint32(b[4:])
	if length < blockFrame || length%4 != 0 {
		return 0, 0, p.damaged("a block says it has %d bytes", length)
	}
	return typ, length, nil
}

func (p *pcapng) damaged(format string, args ...any) error {
	return &damage{p.in.off, fmt.Sprintf(format, args...)}
}

// block reads one block. A packet's data stays in the buffer until next.
func (p *pcapng) block(typ, length uint32, rec *record) error {
	switch typ {
	case blockSection, blockInterface, blockPacket, blockSimple, blockEnhanced:
	default:
		return p.pass(length)
	}
	if length > maxBlock {
		return p.damaged("a block of type %d says it has %d bytes; the limit is %d", typ, length, maxBlock)
	}
	b, err := p.in.peek(int(length))
	if err != nil {
		return short(p.in, err, len(b), int(length), "block")
	}
	if end := p.order.Uint32(b[length-4:]); end != length {
		return p.damaged("a block of %d bytes ends with the length %d", length, end)
	}
	body := b[8 : length-4]
	switch typ {
	case blockSection:
		err = p.section(body)
	case blockInterface:
		err = p.iface(body)
	default:
		if err := p.packet(typ, body, rec); err != nil {
			return err
		}
		p.taken = int(length)
		return nil
	}
	p.in.skip(int(length))
	return err
}

// pass goes behind a block that is not read, of whatever length.
func (p *pcapng) pass(length uint32) error {
	at := p.in.off
	if err := p.in.discard(int64(length) - 4); err != nil {
		return p.passError(at, length, err)
	}
	b, err := p.in.peek(4)
	if err != nil {
		return p.passError(at, length, err)
	}
	if end := p.order.Uint32(b); end != length {
		return &damage{at, fmt.Sprintf("a block of %d bytes ends with the length %d", length, end)}
	}
	p.in.skip(4)
	return nil
}

func (p *pcapng) passError(at int64, length uint32, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &damage{at, fmt.Sprintf("the file ends inside a block of %d bytes", length)}
	}
	return err
}

func (p *pcapng) section(body []byte) error {
	if len(body) < 16 {
		return p.damaged("a section header of %d bytes", len(body))
	}
	if major := p.order.Uint16(body[4:]); major != 1 {
		return p.damaged("version %d of pcapng; only 1 is known", major)
	}
	p.interfaces = p.interfaces[:0]
	return nil
}

func (p *pcapng) iface(body []byte) error {
	if len(body) < 8 {
		return p.damaged("an interface description of %d bytes", len(body))
	}
	if len(p.interfaces) == maxInterfaces {
		return p.damaged("more than %d interfaces in a section", maxInterfaces)
	}
	i := ngInterface{link: packet.LinkType(p.order.Uint16(body)), snaplen: p.order.Uint32(body[4:]), clock: microseconds}
	for b := body[8:]; len(b) >= 4; {
		code, size := p.order.Uint16(b), int(p.order.Uint16(b[2:]))
		padded := 4 + (size+3)&^3
		if code == 0 || padded > len(b) {
			break
		}
		switch value := b[4 : 4+size]; {
		case code == 9 && size == 1:
			i.clock.resolution = value[0]
		case code == 14 && size == 8:
			i.clock.offset = int64(p.order.Uint64(value))
		}
		b = b[padded:]
	}
	p.interfaces = append(p.interfaces, i)
	return nil
}

// packet reads a packet block of any of the three kinds.
func (p *pcapng) packet(typ uint32, body []byte, rec *record) error {
	head := 20
	if typ == blockSimple {
		head = 4
	}
	if len(body) < head {
		return p.damaged("a packet block of %d bytes", len(body))
	}
	id, size, wire := uint32(0), uint32(0), uint32(0)
	switch typ {
	case blockEnhanced:
		id, size, wire = p.order.Uint32(body), p.order.Uint32(body[12:]), p.order.Uint32(body[16:])
	case blockPacket:
		id, size, wire = uint32(p.order.Uint16(body)), p.order.Uint32(body[12:]), p.order.Uint32(body[16:])
	case blockSimple:
		wire = p.order.Uint32(body)
		size = min(wire, uint32(len(body)-head))
	}
	if int64(id) >= int64(len(p.interfaces)) {
		return p.damaged("a packet of interface %d; the section has %d", id, len(p.interfaces))
	}
	i := &p.interfaces[id]
	if typ == blockSimple {
		if i.snaplen > 0 {
			size = min(size, i.snaplen)
		}
	} else {
		p.last = i.clock.nanos(uint64(p.order.Uint32(body[4:]))<<32 | uint64(p.order.Uint32(body[8:])))
	}
	if int64(size) > int64(len(body)-head) || size > maxRecord {
		return p.damaged("a packet says it has %d bytes; its block has room for %d", size, len(body)-head)
	}
	rec.ts, rec.link, rec.data, rec.wire = p.last, i.link, body[head:head+int(size):head+int(size)], int(max(wire, size))
	return nil
}
