// Package reassembly puts the bytes of TCP connections in order for parsers,
// within bounds: what one side holds, what all hold together, and how many
// connections are followed at once.
//
// Segments that come in their turn are shown where they lie, without being
// copied. Of bytes that are sent twice the first copy counts (what the first
// receiver may have acknowledged already); a segment that does not come ends
// the stream.
package reassembly

import (
	"errors"

	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// Why a stream ends that did not end by itself.
var (
	ErrGap  = errors.New("a segment is missing")
	ErrFull = errors.New("the parser takes no bytes and its buffer is full")
	ErrRoom = errors.New("no room to hold bytes")
)

// Reader is shown the bytes of each side in order; see parse.Stream.Next.
type Reader interface {
	Next(c *Conn, side int, b []byte) (int, error)
}

// Conn is a connection that is followed. What is exported belongs to the
// pipeline; the store clears it for a new connection.
type Conn struct {
	Owner  *flow.Record // its Handle leads here
	Parser uint8        // index of the protocol; 0 is not recognised yet
	Stream parse.Stream
	Client uint8  // the flow's side that is the client
	First  uint8  // the flow's side that spoke first
	Took   bool   // the parser has taken bytes
	Hops   uint8  // how often another parser took over
	Tried  uint64 // parsers that said that it is not theirs, by index
	Rows   uint32 // of this report
	Report uint32 // which one that is

	sides  [2]side
	time   int64
	handle uint32
}

// Touched is the time of the latest segment.
func (c *Conn) Touched() int64 { return c.time }

// Holds reports whether bytes of the connection are held.
func (c *Conn) Holds() bool {
	return len(c.sides[0].held)+len(c.sides[1].held)+c.sides[0].waiting+c.sides[1].waiting > 0
}

// Waits reports whether segments wait for one before them.
func (c *Conn) Waits() bool { return c.sides[0].waiting+c.sides[1].waiting > 0 }

// Holding reports whether bytes of a side are held that the reader did not take.
func (c *Conn) Holding(side int) bool { return len(c.sides[side].held) > 0 }

// Ended reports whether both sides have said all that they had to say.
func (c *Conn) Ended() bool {
	a, b := &c.sides[0], &c.sides[1]
	return a.closing && b.closing && int32(a.next-a.fin) >= 0 && int32(b.next-b.fin) >= 0
}

// Expect says which byte of a side comes next, when nothing of it was seen. A
// first segment that is nowhere near knows better.
func (c *Conn) Expect(side int, seq uint32) {
	if d := &c.sides[side]; !d.started {
		d.expected, d.next = true, seq
	}
}

// Next is the sequence number of the byte of a side that comes next.
func (c *Conn) Next(side int) (seq uint32, known bool) {
	return c.sides[side].next, c.sides[side].started
}

// Replay shows the reader again what it has not taken of a side.
func (s *Store) Replay(c *Conn, side int, r Reader) error {
	d := &c.sides[side]
	if len(d.held) == 0 {
		return nil
	}
	rest, err := d.read(c, side, d.held, r)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		s.pool.put(d.held)
		d.held = nil
		return nil
	}
	d.held = d.held[:copy(d.held, rest)]
	return nil
}

// Config bounds a store. Zero values stand for the defaults.
type Config struct {
	MaxConns int   // connections followed at once (8,192)
	MaxBytes int   // held of all of them (16 MiB)
	Stale    int64 // nanoseconds for which bytes are held when nothing follows (10 s)
	// Close ends a connection that has to make way, or that is stale. It calls
	// Store.Close.
	Close func(c *Conn, stale bool)
}

// Store holds the connections.
type Store struct {
	cfg   Config
	conns []*Conn
	free  []uint32
	hand  int
	pool  buffers
	busy  *Conn  // not to be closed to make room
	near  uint32 // what Expect touched, of no meaning
}

// New makes a store. It reserves nothing.
func New(cfg Config) *Store {
	if cfg.MaxConns <= 0 {
		cfg.MaxConns = 8192
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = 16 << 20
	}
	if cfg.Stale <= 0 {
		cfg.Stale = 10e9
	}
	return &Store{cfg: cfg, pool: buffers{max: cfg.MaxBytes}}
}

// Open begins to follow a flow. The connection that was silent for longest,
// among some, makes way when there are too many.
func (s *Store) Open(owner *flow.Record, now int64) *Conn {
	if len(s.free) == 0 {
		if len(s.conns) < s.cfg.MaxConns {
			s.conns = append(s.conns, &Conn{handle: uint32(len(s.conns) + 1)})
			s.free = append(s.free, uint32(len(s.conns)))
		} else if !s.pushOut(false) {
			return nil
		}
	}
	n := len(s.free) - 1
	c := s.conns[s.free[n]-1]
	s.free = s.free[:n]
	c.Owner, c.time = owner, now
	owner.Handle = c.handle
	return c
}

// Get returns the connection of a handle.
func (s *Store) Get(handle uint32) *Conn { return s.conns[handle-1] }

// Expect brings the connection of a handle near, of which a segment is to come.
func (s *Store) Expect(handle uint32) {
	if handle-1 < uint32(len(s.conns)) {
		c := s.conns[handle-1]
		s.near += uint32(c.Parser) + c.sides[0].next + c.sides[1].next
	}
}

// Add takes a segment of one side and shows the reader what comes in its turn.
// After an error the connection is to be closed.
func (s *Store) Add(c *Conn, side int, now int64, seg Segment, r Reader) error {
	c.time = now
	s.busy = c
	err := s.add(c, side, seg, r)
	s.busy = nil
	return err
}

// Close forgets a connection, and frees what it holds. It may be called twice.
func (s *Store) Close(c *Conn) {
	if c.Owner == nil {
		return
	}
	for i := range c.sides {
		d := &c.sides[i]
		s.pool.put(d.held)
		for j := range d.ahead {
			s.pool.put(d.ahead[j].b)
			d.ahead[j] = piece{}
		}
		*d = side{ahead: d.ahead[:0]}
	}
	if s.busy == c {
		s.busy = nil
	}
	c.Owner.Handle = 0
	*c = Conn{sides: c.sides, handle: c.handle}
	s.free = append(s.free, c.handle)
}

// Expire closes the connections that hold bytes and got nothing for a while.
func (s *Store) Expire(now int64) {
	for _, c := range s.conns {
		if c.Owner != nil && now-c.time > s.cfg.Stale && c.Holds() {
			s.cfg.Close(c, true)
		}
	}
}

// Stats returns how many connections are open, and the bytes reserved for what
// they hold.
func (s *Store) Stats() (conns, bytes int) { return len(s.conns) - len(s.free), s.pool.used }

// room returns a buffer; the connection that was silent for longest, among
// some, makes way when there is none.
func (s *Store) room(n int) []byte {
	for range 4 {
		if b := s.pool.get(n); b != nil || class(n) < 0 {
			return b
		}
		if !s.pushOut(true) {
			return nil
		}
	}
	return nil
}

// window is how many connections are looked at to find one that makes way.
const window = 32

func (s *Store) pushOut(holding bool) bool {
	var oldest *Conn
	for found, looked := 0, 0; found < window && looked < min(len(s.conns), 64*window); looked++ {
		c := s.conns[s.hand%len(s.conns)]
		s.hand++
		if c.Owner == nil || c == s.busy || holding && !c.Holds() {
			continue
		}
		found++
		if oldest == nil || c.time < oldest.time {
			oldest = c
		}
	}
	if oldest == nil {
		return false
	}
	s.cfg.Close(oldest, false)
	return true
}
