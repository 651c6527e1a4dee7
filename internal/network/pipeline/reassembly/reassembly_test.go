package reassembly

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// taker reads messages of a length byte and that many bytes (a length above
// 200 means a thousand more that are passed over), and keeps what it was
// shown; it takes at most `most` messages a call.
type taker struct {
	got  [2][]byte
	fail error
}

func (k *taker) Next(_ *Conn, side int, b []byte) (int, error) {
	if k.fail != nil {
		return 0, k.fail
	}
	n := 1 + int(b[0])
	if len(b) < n {
		if b[0] > 200 { // the message is not wanted, nor is what is behind it
			k.got[side] = append(k.got[side], b[0])
			return n + 1000, nil
		}
		return 0, nil
	}
	k.got[side] = append(k.got[side], b[:n]...)
	return n, nil
}

// messages makes a stream, and what is to be seen of it.
func messages(rng *rand.Rand, n int) (stream []byte) {
	for range n {
		size := rng.IntN(200)
		stream = append(stream, byte(size))
		for range size {
			stream = append(stream, byte(rng.Uint32()))
		}
	}
	return stream
}

// segments cuts a stream, sends parts again, lays some over others, and
// changes the order within a few places.
func segments(rng *rand.Rand, stream []byte, start uint32) []Segment {
	var out []Segment
	most := []int{1, 7, 100, 1400}[rng.IntN(4)]
	for at := 0; at < len(stream); {
		n := 1 + rng.IntN(min(most, len(stream)-at))
		out = append(out, Segment{Seq: start + uint32(at), Data: stream[at : at+n]})
		if rng.IntN(4) == 0 { // again, with more or less before and behind
			from, to := max(0, at-rng.IntN(50)), min(len(stream), at+n+rng.IntN(50))
			out = append(out, Segment{Seq: start + uint32(from), Data: stream[from:to]})
		}
		at += n
	}
	for i := 1; i < len(out)-1; i++ { // the first stays, so that the beginning is known
		j := i + rng.IntN(min(6, len(out)-i))
		out[i], out[j] = out[j], out[i]
	}
	return out
}

func newTest(cfg Config) (*Store, *flow.Record) {
	var s *Store
	cfg.Close = func(c *Conn, _ bool) { s.Close(c) }
	s = New(cfg)
	return s, &flow.Record{}
}

// TestOracle: however a stream was cut, repeated and reordered, the reader is
// shown the stream; sequence numbers wrap round.
func TestOracle(t *testing.T) {
	t.Parallel()
	gaps := 0
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s, r := newTest(Config{})
		c := s.Open(r, 0)
		var k taker
		want := [2][]byte{messages(rng, 40), messages(rng, 40)}
		var lists [2][]Segment
		for side := range want {
			lists[side] = segments(rng, want[side], uint32(0xfffff000+rng.IntN(0x2000)))
		}
		var err error
		for len(lists[0])+len(lists[1]) > 0 && err == nil {
			side := rng.IntN(2)
			if len(lists[side]) == 0 {
				side = 1 - side
			}
			err = s.Add(c, side, 0, lists[side][0], &k)
			lists[side] = lists[side][1:]
		}
		for side := range want {
			if err == nil && !bytes.Equal(want[side], k.got[side]) || !bytes.HasPrefix(want[side], k.got[side]) {
				t.Errorf("seed %d, side %d: %d bytes came out of %d: %v", seed, side, len(k.got[side]), len(want[side]), err)
			}
		}
		if err != nil {
			if !errors.Is(err, ErrGap) {
				t.Errorf("seed %d: %v", seed, err)
			}
			gaps++
		}
		s.Close(c)
		if n, used := s.Stats(); n != 0 || used != 0 {
			t.Errorf("seed %d: %d connections, %d bytes are left", seed, n, used)
		}
	}
	if gaps > 20 {
		t.Errorf("%d streams of 400 were given up", gaps)
	}
}

// TestFirstCopyWins sends bytes twice with other content.
func TestFirstCopyWins(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		in   []Segment
		want string
	}{
		{"in order", []Segment{{Seq: 0, Data: []byte("\x07abc")}, {Seq: 0, Data: []byte("\x07XXXdefg")}}, "\x07abcdefg"},
		{"ahead", []Segment{{Seq: 0, Data: []byte("\x07")}, {Seq: 4, Data: []byte("def")}, {Seq: 1, Data: []byte("abcXXXg")}}, "\x07abcdefg"},
		{"ahead twice", []Segment{{Seq: 0, Data: []byte("\x07")}, {Seq: 3, Data: []byte("c")}, {Seq: 2, Data: []byte("bXde")},
			{Seq: 5, Data: []byte("XXf")}, {Seq: 1, Data: []byte("a")}, {Seq: 7, Data: []byte("g")}}, "\x07abcdeXf"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, r := newTest(Config{})
			conn := s.Open(r, 0)
			var k taker
			for _, seg := range c.in {
				if err := s.Add(conn, 0, 0, seg, &k); err != nil {
					t.Fatal(err)
				}
			}
			if string(k.got[0]) != c.want {
				t.Errorf("%q, want %q", k.got[0], c.want)
			}
		})
	}
}

// TestFarAway sends segments from half of all sequence numbers away, where
// ahead and behind are the same: nothing of them is shown.
func TestFarAway(t *testing.T) {
	t.Parallel()
	for _, off := range []uint32{1 << 31, 1<<31 - 1, 1<<31 + 1} {
		s, r := newTest(Config{})
		c := s.Open(r, 0)
		var k taker
		for _, seg := range []Segment{{Seq: 9, Data: []byte{0, 0}}, {Seq: 11 + off, Data: []byte{0, 0}}, {Seq: 11 + off, Missing: 4}, {Seq: 11, Data: []byte{0}}} {
			if err := s.Add(c, 0, 0, seg, &k); err != nil && !errors.Is(err, ErrGap) {
				t.Fatal(err)
			}
			if len(k.got[0]) > 3 {
				t.Fatalf("%d away: %d bytes were shown", off, len(k.got[0]))
			}
		}
	}
}

// TestSkip passes over what the reader does not want: it is not held, and
// what of it is missing is no gap.
func TestSkip(t *testing.T) {
	t.Parallel()
	s, r := newTest(Config{})
	c := s.Open(r, 0)
	var k taker
	add := func(seq uint32, b []byte, missing int) {
		t.Helper()
		if err := s.Add(c, 0, 0, Segment{Seq: seq, Data: b, Missing: missing}, &k); err != nil {
			t.Fatal(err)
		}
	}
	add(10, []byte{250, 1, 2}, 0) // 251 bytes and 1000 more
	if c.Holds() {
		t.Error("what is passed over is held")
	}
	add(10+500, make([]byte, 100), 0) // a segment before it is missing
	add(10+700, make([]byte, 50), 100)
	add(10+1200, append(make([]byte, 51), 2, 'o', 'k'), 0)
	if string(k.got[0]) != "\xfa\x02ok" {
		t.Errorf("%q", k.got[0])
	}
	if err := s.Add(c, 0, 0, Segment{Seq: 10 + 1254, Data: []byte{9}, Missing: 5}, &k); !errors.Is(err, ErrGap) {
		t.Errorf("bytes that the capture cut off: %v", err)
	}
}

func TestEnded(t *testing.T) {
	t.Parallel()
	s, r := newTest(Config{})
	c := s.Open(r, 0)
	var k taker
	add := func(side int, seg Segment) { _ = s.Add(c, side, 0, seg, &k) }
	add(0, Segment{Seq: 0, Data: []byte{1}})
	add(0, Segment{Seq: 2, Data: []byte{0}, FIN: true})
	add(1, Segment{Seq: 5, FIN: true})
	if c.Ended() {
		t.Error("ended, though a byte is missing")
	}
	add(0, Segment{Seq: 1, Data: []byte{7}})
	if !c.Ended() || string(k.got[0]) != "\x01\x07\x00" {
		t.Errorf("%v %q", c.Ended(), k.got[0])
	}
}

// greedy never takes a byte.
type greedy struct{ shown int }

func (g *greedy) Next(_ *Conn, _ int, b []byte) (int, error) {
	g.shown += len(b)
	return 0, nil
}

// TestReaderThatTakesNothing: what is held for it is bounded, and so is the
// work of showing it again and again.
func TestReaderThatTakesNothing(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 100, 1460, 65000} {
		s, r := newTest(Config{})
		c := s.Open(r, 0)
		var g greedy
		var err error
		sent := 0
		for ; err == nil && sent < 1<<20; sent += size {
			err = s.Add(c, 0, 0, Segment{Seq: uint32(sent), Data: make([]byte, size)}, &g)
			if _, used := s.Stats(); used > 2*parse.MaxBuffer {
				t.Fatalf("%d bytes are held", used)
			}
		}
		if !errors.Is(err, ErrFull) || sent > parse.MaxBuffer+65000 || g.shown > maxWork+2*parse.MaxBuffer+65000 {
			t.Errorf("segments of %d: %v after %d bytes, %d shown", size, err, sent, g.shown)
		}
	}
}

// TestBounds begins a million connections that hold bytes and never go on.
func TestBounds(t *testing.T) {
	t.Parallel()
	closed, refused := 0, 0
	cfg := Config{MaxConns: 1000, MaxBytes: 1 << 20}
	var s *Store
	cfg.Close = func(c *Conn, _ bool) {
		closed++
		s.Close(c)
	}
	s = New(cfg)
	var g greedy
	sizes := []int{1, 600, 5000, 16000}
	data := make([]byte, 16000)
	n := 1_000_000
	if testing.Short() {
		n = 50_000
	}
	records := make([]flow.Record, n)
	for i := range n {
		c := s.Open(&records[i], int64(i))
		if c == nil {
			t.Fatal("no connection could be opened")
		}
		size := sizes[i%4]
		if err := s.Add(c, 0, int64(i), Segment{Seq: uint32(i % 3), Data: data[:size]}, &g); err != nil {
			s.Close(c)
			refused++
		}
		if i%3 == 0 && c.Owner != nil {
			_ = s.Add(c, 0, int64(i), Segment{Seq: 50_000, Data: data[:100]}, &g)
		}
		if conns, used := s.Stats(); conns > 1000 || used > 1<<20 || s.pool.total > 1<<20 {
			t.Fatalf("%d connections, %d bytes, %d made", conns, used, s.pool.total)
		}
	}
	if conns, _ := s.Stats(); closed+refused+conns != n || refused > n/10 {
		t.Errorf("%d made way, %d found no room, %d are open", closed, refused, conns)
	}
	s.Expire(int64(n) + 11e9)
	if _, used := s.Stats(); used != 0 {
		t.Errorf("%d bytes are held by stale connections", used)
	}
	open := 0
	for i := range records {
		if records[i].Handle != 0 {
			open++
		}
	}
	if conns, _ := s.Stats(); conns != open {
		t.Errorf("%d flows have a connection, %d are open", open, conns)
	}
}

func TestNoAllocations(t *testing.T) {
	s, r := newTest(Config{})
	var k taker
	k.got[0] = make([]byte, 0, 1<<20)
	data := bytes.Repeat([]byte{3, 'a', 'b', 'c'}, 100)
	run := func() {
		c := s.Open(r, 0)
		k.got[0] = k.got[0][:0]
		for i, cut := range []int{1, 3, 150, 330, 399, 400} {
			from := []int{0, 1, 3, 150, 330, 399}[i]
			_ = s.Add(c, 0, 0, Segment{Seq: uint32(from), Data: data[from:cut]}, &k)
		}
		s.Close(c)
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzSegments reads segments from the input: whatever comes, the reader is
// never shown a byte twice or out of place, and nothing is left behind.
func FuzzSegments(f *testing.F) {
	f.Add([]byte("\x00\x00\x04\x02\x02abcd\x00\x04\x01"))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, r := newTest(Config{MaxBytes: 64 << 10})
		c := s.Open(r, 0)
		var k taker
		stream := messages(rand.New(rand.NewPCG(1, 1)), 30)
		var err error
		if e := s.Add(c, 0, 0, Segment{Seq: 0xfffffff0, Data: stream[:1]}, &k); e != nil {
			t.Fatal(e)
		}
		for ; len(in) >= 3 && err == nil; in = in[3:] {
			at := int(in[0])<<4 | int(in[1])
			n := int(in[2])
			at = min(at, len(stream))
			n = min(n, len(stream)-at)
			err = s.Add(c, 0, 0, Segment{Seq: 0xfffffff0 + uint32(at), Data: stream[at : at+n]}, &k)
		}
		if !bytes.HasPrefix(stream, k.got[0]) {
			t.Error("the stream came out changed")
		}
		s.Close(c)
		if n, used := s.Stats(); n != 0 || used != 0 {
			t.Error(fmt.Sprint(n, used, " left"))
		}
	})
}
