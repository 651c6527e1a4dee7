package reassembly

import "github.com/rind-project/rind/internal/network/packet/parse"

// Limits of one side of a connection.
const (
	maxAhead  = 32      // segments held out of order
	maxWindow = 1 << 20 // how far ahead a segment may be
	maxFar    = 3       // segments further ahead that are passed over as none of the stream's
	// maxWork is how many bytes are shown to a reader that takes none of them:
	// with segments of one byte a message of 2,900 bytes is read to its end, such
	// as a ClientHello with post-quantum keys, or the KEXINIT of SSH.
	maxWork = 256 * parse.MaxBuffer
)

// piece is a segment that came before its turn.
type piece struct {
	seq uint32
	b   []byte
}

// side is one direction of a connection.
type side struct {
	next    uint32 // sequence number of the byte that is to come
	fin     uint32 // sequence number behind the last byte, when closing
	skip    uint64 // bytes that the reader does not want to see
	held    []byte // in order, and not taken by the reader yet
	ahead   []piece
	waiting int // bytes in ahead
	work    int
	far     uint8
	started bool
	// expected says that next is known, though nothing was seen.
	expected bool
	closing  bool // FIN was seen
}

// Segment is the payload of one TCP segment.
type Segment struct {
	Seq     uint32 // of the first byte
	Data    []byte
	Missing int // bytes behind Data that the capture did not keep
	FIN     bool
}

// add takes a segment: what continues the stream is shown to the reader, what
// is ahead is kept, what was there before is dropped.
func (s *Store) add(c *Conn, at int, seg Segment, r Reader) error {
	d := &c.sides[at]
	if !d.started {
		if off := int32(seg.Seq - d.next); !d.expected || off > parse.MaxBuffer || off < -parse.MaxBuffer {
			d.next = seg.Seq
		}
		d.started = true
	}
	end := seg.Seq + uint32(len(seg.Data)+seg.Missing)
	if seg.FIN {
		d.closing, d.fin = true, end
	}
	b, seq := seg.Data, seg.Seq
	if ahead := int32(seq - d.next); ahead > 0 {
		if uint64(ahead) > d.skip {
			return s.keep(d, seq, b)
		}
		d.pass(uint32(ahead))
	}
	for {
		// What is as far behind as it is ahead, 2³¹, is behind: it must be taken for one of them.
		if seen := -int(int32(seq - d.next)); seen > 0 {
			n := min(seen, len(b))
			b, seq = b[n:], seq+uint32(n)
		}
		if len(d.ahead) > 0 {
			turn, err := s.turn(c, at, b, r)
			if err != nil {
				return err
			}
			if turn {
				continue
			}
		}
		if len(b) == 0 {
			break
		}
		n := len(b) // up to what came earlier, which stays as it was
		if len(d.ahead) > 0 {
			n = min(n, int(int32(d.ahead[0].seq-d.next)))
		}
		if err := s.show(c, at, b[:n], r); err != nil {
			return err
		}
	}
	if rest := int32(end - d.next); seg.Missing > 0 && rest > 0 {
		if uint64(rest) > d.skip {
			return ErrGap
		}
		d.pass(uint32(rest))
	}
	return nil
}

// turn shows the first segment that came early, when it is its turn, and
// reports whether the stream moved. b is what the segment in hand still has.
func (s *Store) turn(c *Conn, at int, b []byte, r Reader) (bool, error) {
	d := &c.sides[at]
	first := d.ahead[0]
	gap := int32(first.seq - d.next)
	if gap > 0 {
		if len(b) > 0 || uint64(gap) > d.skip {
			return false, nil
		}
		d.pass(uint32(gap))
		return true, nil
	}
	var err error
	if seen := -int(gap); seen < len(first.b) {
		err = s.show(c, at, first.b[seen:], r)
	}
	d.waiting -= len(first.b)
	s.pool.put(first.b)
	copy(d.ahead, d.ahead[1:])
	d.ahead = d.ahead[:len(d.ahead)-1]
	return true, err
}

// pass moves over n bytes that nobody wants to see.
func (d *side) pass(n uint32) {
	d.skip -= uint64(n)
	d.next += n
}

// keep holds a segment that is ahead of its turn. What came first stays.
func (s *Store) keep(d *side, seq uint32, b []byte) error {
	if int(int32(seq-d.next))+len(b) > maxWindow {
		if d.far++; d.far > maxFar {
			return ErrGap
		}
		return nil
	}
	for i := 0; len(b) > 0; i++ {
		n := len(b)
		if i < len(d.ahead) {
			n = min(n, max(0, int(int32(d.ahead[i].seq-seq))))
		}
		if n > 0 {
			if err := s.insert(d, i, seq, b[:n]); err != nil {
				return err
			}
			b, seq = b[n:], seq+uint32(n)
			continue
		}
		p := d.ahead[i]
		if seen := int32(p.seq + uint32(len(p.b)) - seq); seen > 0 {
			n := min(int(seen), len(b))
			b, seq = b[n:], seq+uint32(n)
		}
	}
	return nil
}

func (s *Store) insert(d *side, i int, seq uint32, b []byte) error {
	if len(d.ahead) >= maxAhead || d.waiting+len(b) > parse.MaxBuffer {
		return ErrGap
	}
	buf := s.room(len(b))
	if buf == nil {
		return ErrRoom
	}
	d.ahead = append(d.ahead, piece{})
	copy(d.ahead[i+1:], d.ahead[i:])
	d.ahead[i] = piece{seq, append(buf, b...)}
	d.waiting += len(b)
	return nil
}

// show gives the reader bytes that continue the stream, behind those that it
// did not take before.
func (s *Store) show(c *Conn, at int, b []byte, r Reader) error {
	d := &c.sides[at]
	d.next += uint32(len(b))
	for len(b) > 0 {
		if d.skip > 0 {
			n := min(d.skip, uint64(len(b)))
			d.skip -= n
			b = b[n:]
			continue
		}
		if len(d.held) == 0 {
			rest, err := d.read(c, at, b, r)
			if err != nil {
				return err
			}
			if b = nil; len(rest) > 0 {
				if len(rest) >= parse.MaxBuffer {
					return ErrFull
				}
				return s.hold(d, rest)
			}
			continue
		}
		n := min(parse.MaxBuffer-len(d.held), len(b))
		if err := s.hold(d, b[:n]); err != nil {
			return err
		}
		b = b[n:]
		rest, err := d.read(c, at, d.held, r)
		if err != nil {
			return err
		}
		switch {
		case len(rest) == 0:
			s.pool.put(d.held)
			d.held = nil
		case len(rest) == parse.MaxBuffer:
			return ErrFull
		default:
			d.held = d.held[:copy(d.held, rest)]
		}
	}
	return nil
}

// read shows b to the reader until it takes no more, and returns the rest.
func (d *side) read(c *Conn, at int, b []byte, r Reader) (rest []byte, err error) {
	for len(b) > 0 {
		n, err := r.Next(c, at, b)
		if err != nil {
			return nil, err
		}
		switch {
		case n > len(b):
			d.skip, d.work = uint64(n-len(b)), 0
			return nil, nil
		case n > 0:
			b, d.work = b[n:], 0
		default:
			if d.work += len(b); d.work > maxWork {
				return nil, ErrFull
			}
			return b, nil
		}
	}
	return nil, nil
}

// hold keeps b behind what is held.
func (s *Store) hold(d *side, b []byte) error {
	n := len(d.held) + len(b)
	if n > cap(d.held) {
		buf := s.room(n)
		if buf == nil {
			return ErrRoom
		}
		buf = append(buf, d.held...)
		s.pool.put(d.held)
		d.held = buf
	}
	d.held = append(d.held, b...)
	return nil
}
