package report

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"time"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rind-project/rind/internal/network"
)

// blockRows is how many flows are filled at once: so many stay in the cache
// while one column after the other is read.
const blockRows = 64

// flows reads the flows, which are most of a report, by blocks of rows, and in
// a block by columns: then reading numbers and placing them are loops of their
// own, and a column that is absent costs nothing.
func (p *parser) flows(b []byte) error {
	var cs [flowColumns]cursor
	rows, err := p.columns("flows", b, cs[:])
	if err != nil || rows == 0 {
		return err
	}
	if !p.take(rows * int(unsafe.Sizeof(network.Flow{}))) {
		return p.err
	}
	p.out.Flows = p.room(rows)
	f := flowBlocks{p: p, cs: &cs, addrs: p.lastAddr(), names: p.lastName(), macs: uint64(len(p.macs) / 6)}
	for rest := p.out.Flows; len(rest) > 0; rest = rest[len(f.rows):] {
		f.rows = rest[:min(blockRows, len(rest))]
		clear(f.rows)
		f.times()
		f.ends()
		f.counts()
		f.handshake()
		f.tunnels()
	}
	return p.finish("flows", cs[:])
}

// room returns rows to be filled: those of a report that is done with, if there
// is one of the size, as it left them.
func (p *parser) room(rows int) []network.Flow {
	if p.flowRoom != nil && rows >= keptRows {
		if kept, ok := p.flowRoom.Get().(*[]network.Flow); ok && cap(*kept) >= rows {
			return (*kept)[:rows]
		}
	}
	return make([]network.Flow, rows)
}

// keptRows is how many flows a report must have for its memory to be used again.
const keptRows = 1024

// Recycle lets the memory of a report's flows serve for another report. Nobody
// may have the flows any more.
func (d *Decoder) Recycle(r *network.Report) {
	if cap(r.Flows) < keptRows {
		return
	}
	rows := r.Flows
	r.Flows = nil
	d.flowRoom.Put(&rows)
}

// flowBlocks fills the rows of one block after the other.
type flowBlocks struct {
	p                  *parser
	cs                 *[flowColumns]cursor
	rows               []network.Flow
	addrs, names, macs uint64 // the last index of each dictionary
	start              int64  // of the row before
	values             [blockRows]uint64
}

// next reads a column for the rows of the block; nothing when it is absent.
func (f *flowBlocks) next(column int, limit uint64) []uint64 {
	if !f.cs[column].present {
		return nil
	}
	values := f.values[:len(f.rows)]
	f.cs[column].block(values, limit)
	return values
}

// times fills begin and end, which are there when their columns are not.
func (f *flowBlocks) times() {
	var starts [blockRows]int64
	steps := f.next(flowStart, math.MaxUint64)
	for i := range f.rows {
		if steps != nil {
			f.start += protowire.DecodeZigZag(steps[i])
		}
		starts[i] = f.start
		f.rows[i].Start = micros(f.start)
	}
	lengths := f.next(flowDuration, math.MaxUint64)
	for i := range f.rows {
		if lengths != nil {
			starts[i] += protowire.DecodeZigZag(lengths[i])
		}
		f.rows[i].End = micros(starts[i])
	}
}

func (f *flowBlocks) ends() {
	for i, v := range f.next(flowSource, f.addrs) {
		f.rows[i].Source = f.p.addr(v)
	}
	for i, v := range f.next(flowDest, f.addrs) {
		f.rows[i].Dest = f.p.addr(v)
	}
	for i, v := range f.next(flowSrcPort, math.MaxUint16) {
		f.rows[i].SrcPort = uint16(v)
	}
	for i, v := range f.next(flowDstPort, math.MaxUint16) {
		f.rows[i].DstPort = uint16(v)
	}
	for i, v := range f.next(flowProto, math.MaxUint8) {
		f.rows[i].Proto = network.Proto(v)
	}
	for i, v := range f.next(flowVLAN, math.MaxUint16) {
		f.rows[i].VLAN = uint16(v)
	}
	for i, v := range f.next(flowInnerVLAN, math.MaxUint16) {
		f.rows[i].InnerVLAN = uint16(v)
	}
	for i, v := range f.next(flowSrcMAC, f.macs) {
		f.rows[i].SrcMAC = f.p.mac(v)
	}
	for i, v := range f.next(flowDstMAC, f.macs) {
		f.rows[i].DstMAC = f.p.mac(v)
	}
}

func (f *flowBlocks) counts() {
	for i, v := range f.next(flowSrcPkts, math.MaxUint64) {
		f.rows[i].SrcPkts = v
	}
	for i, v := range f.next(flowDstPkts, math.MaxUint64) {
		f.rows[i].DstPkts = v
	}
	for i, v := range f.next(flowSrcBytes, math.MaxUint64) {
		f.rows[i].SrcBytes = v
	}
	for i, v := range f.next(flowDstBytes, math.MaxUint64) {
		f.rows[i].DstBytes = v
	}
	for i, v := range f.next(flowSrcRetrans, math.MaxUint32) {
		f.rows[i].SrcRetrans = uint32(v)
	}
	for i, v := range f.next(flowDstRetrans, math.MaxUint32) {
		f.rows[i].DstRetrans = uint32(v)
	}
	for i, v := range f.next(flowSrcZeroWin, math.MaxUint32) {
		f.rows[i].SrcZeroWin = uint32(v)
	}
	for i, v := range f.next(flowDstZeroWin, math.MaxUint32) {
		f.rows[i].DstZeroWin = uint32(v)
	}
}

func (f *flowBlocks) handshake() {
	for i, v := range f.next(flowSrcFlags, math.MaxUint8) {
		f.rows[i].SrcFlags = uint8(v)
	}
	for i, v := range f.next(flowDstFlags, math.MaxUint8) {
		f.rows[i].DstFlags = uint8(v)
	}
	for i, v := range f.next(flowState, uint64(network.TCPRejected)) {
		f.rows[i].State = network.TCPState(v)
	}
	for i, v := range f.next(flowApp, f.names) {
		f.rows[i].App = f.p.name(v)
	}
	for i, v := range f.next(flowEnded, 1) {
		f.rows[i].Ended = v == 1
	}
	for i, v := range f.next(flowClientRTT, math.MaxUint32) {
		f.rows[i].ClientRTT = time.Duration(v) * time.Microsecond
	}
	for i, v := range f.next(flowServerRTT, math.MaxUint32) {
		f.rows[i].ServerRTT = time.Duration(v) * time.Microsecond
	}
	for i, v := range f.next(flowFingerprint, f.names) {
		f.rows[i].Fingerprint = f.p.name(v)
	}
}

func (f *flowBlocks) tunnels() {
	for i, v := range f.next(flowTunnel, math.MaxUint8) {
		f.rows[i].Tunnel = network.Tunnel(v)
	}
	for i, v := range f.next(flowTunnelID, math.MaxUint32) {
		f.rows[i].TunnelID = uint32(v)
	}
	for i, v := range f.next(flowSrcTTL, math.MaxUint8) {
		f.rows[i].SrcTTL = uint8(v)
	}
	for i, v := range f.next(flowDstTTL, math.MaxUint8) {
		f.rows[i].DstTTL = uint8(v)
	}
}

// continued are the bits that say, in eight bytes of varints, that a value
// goes on in the next byte.
const continued = 0x8080808080808080

// block reads as many values as there is room for, none of which may be over
// the limit.
func (c *cursor) block(values []uint64, limit uint64) {
	b, pos := c.b, c.pos
	var all, bytes uint64 // the bits of all values, and of those read by eight
	for i := 0; i < len(values); {
		if i+8 <= len(values) && pos+8 <= len(b) {
			eight := binary.LittleEndian.Uint64(b[pos:])
			if eight&continued == 0 { // eight values of one byte
				bytes |= eight
				place := values[i : i+8 : i+8]
				for j := range place {
					place[j] = eight >> (8 * j) & 0x7f
				}
				i, pos = i+8, pos+8
				continue
			}
		}
		// Here values are longer, so it is not looked again at once.
		for end := min(i+8, len(values)); i < end; i++ {
			if pos+8 <= len(b) {
				eight := binary.LittleEndian.Uint64(b[pos:])
				if last := ^eight & continued; last != 0 {
					v := joined(eight & (last ^ (last - 1)))
					pos += bits.TrailingZeros64(last)/8 + 1
					values[i] = v
					all |= v
					continue
				}
			}
			v, n := varint(b, pos)
			if n <= 0 {
				c.pos, c.bad = len(b), true
				clear(values)
				return
			}
			pos += n
			values[i] = v
			all |= v
		}
	}
	c.pos = pos
	bytes |= bytes >> 32
	bytes |= bytes >> 16
	all |= (bytes | bytes>>8) & 0x7f
	// No value is larger than all bits together; only when these are over the
	// limit the values are looked at.
	if all > limit && slices.Max(values) > limit {
		c.bad = true
		clear(values)
	}
}

// joined is the value of a varint of up to eight bytes: their lower seven bits,
// moved together in three steps. Without a branch for each length nothing is to
// be guessed, and the lengths of counters cannot be.
func joined(v uint64) uint64 {
	v = v&0x007f007f007f007f | v&0x7f007f007f007f00>>1
	v = v&0x00003fff00003fff | v&0x3fff00003fff0000>>2
	return v&0x000000000fffffff | v&0x0fffffff00000000>>4
}

// varint reads one value near the end of a column, or one of more than eight
// bytes, and returns how many bytes it has.
func varint(b []byte, pos int) (v uint64, n int) {
	return protowire.ConsumeVarint(b[min(pos, len(b)):])
}
