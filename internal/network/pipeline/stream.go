package pipeline

import "github.com/rind-project/rind/internal/network/packet/tls"

// Limits of what is kept of TCP streams, all flows together: 1024 blocks of
// 16 KiB are 16 MiB.
const (
	blockSize   = tls.MaxHello
	maxBlocks   = 1024
	maxStreams  = 16384
	maxSegments = 64          // segments of one ClientHello
	staleAfter  = int64(10e9) // nanoseconds
	noBlock     = ^uint16(0)  // a side that keeps nothing
)

// stream is the state of a TCP flow whose parser wants the bytes in order.
// Each side is a direction.
type stream struct {
	sides    [2]streamSide
	touched  int64 // time of the last segment
	segments uint8
	inUse    bool
	dead     bool // given up by expire; the flow does not know yet
}

type streamSide struct {
	next    uint32 // sequence number expected
	skip    uint32 // bytes to pass over
	size    uint16 // bytes in the block
	block   uint16
	started bool
	lost    bool // a segment was missing
}

// streams is the bounded store of streams. A handle is an index plus one.
type streams struct {
	all    []stream
	free   []uint32
	blocks []*[blockSize]byte
	spare  []uint16
}

func newStreams() *streams { return &streams{} }

// open returns a new stream's handle, or 0 when there are too many.
func (s *streams) open() uint32 {
	var i uint32
	switch n := len(s.free); {
	case n > 0:
		i, s.free = s.free[n-1], s.free[:n-1]
	case len(s.all) < maxStreams:
		i = uint32(len(s.all))
		s.all = append(s.all, stream{})
	default:
		return 0
	}
	s.all[i] = stream{inUse: true}
	s.all[i].sides[0].block, s.all[i].sides[1].block = noBlock, noBlock
	return i + 1
}

func (s *streams) get(handle uint32) *stream { return &s.all[handle-1] }

// release frees a stream and what it keeps.
func (s *streams) release(handle uint32) {
	st := s.get(handle)
	s.drop(&st.sides[0])
	s.drop(&st.sides[1])
	st.inUse = false
	s.free = append(s.free, handle-1)
}

// drop frees the block of a side.
func (s *streams) drop(side *streamSide) {
	if side.block != noBlock {
		s.spare = append(s.spare, side.block)
		side.block = noBlock
	}
	side.size = 0
}

// keep appends b to the block of a side, and reports false when there is no
// block left or b does not fit.
func (s *streams) keep(side *streamSide, b []byte) bool {
	if side.block == noBlock {
		switch n := len(s.spare); {
		case n > 0:
			side.block, s.spare = s.spare[n-1], s.spare[:n-1]
		case len(s.blocks) < maxBlocks:
			side.block = uint16(len(s.blocks))
			s.blocks = append(s.blocks, new([blockSize]byte))
		default:
			return false
		}
	}
	n := copy(s.blocks[side.block][side.size:], b)
	side.size += uint16(n)
	return n == len(b)
}

// kept returns the bytes kept of a side.
func (s *streams) kept(side *streamSide) []byte {
	if side.block == noBlock {
		return nil
	}
	return s.blocks[side.block][:side.size]
}

// inOrder returns the part of a segment that continues the side's stream. A
// segment after a gap ends the stream: lost is then set.
func (side *streamSide) inOrder(seq uint32, b []byte) []byte {
	if !side.started {
		side.started, side.next = true, seq
	}
	switch ahead := int32(seq - side.next); {
	case ahead > 0:
		side.lost = true
		return nil
	case ahead < 0:
		seen := -int64(ahead)
		if seen >= int64(len(b)) {
			return nil
		}
		b = b[seen:]
	}
	side.next += uint32(len(b))
	return b
}

// expire gives up the streams that keep bytes and got nothing for a while, so
// that beginnings without an end cannot take all the blocks. It returns how many.
func (s *streams) expire(now int64) (n uint64) {
	for i := range s.all {
		st := &s.all[i]
		keeps := st.sides[0].block != noBlock || st.sides[1].block != noBlock
		if st.inUse && keeps && now-st.touched > staleAfter {
			s.drop(&st.sides[0])
			s.drop(&st.sides[1])
			st.dead = true
			n++
		}
	}
	return n
}
