package parsetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// NewOut makes an Out with room enough for a test.
func NewOut() *parse.Out { return parse.NewOut(10000, 4<<20) }

// feed gives a stream what it asks for, as the pipeline does.
type feed struct {
	stream parse.Stream
	out    *parse.Out
	held   [2][]byte
	skip   [2]int
	copied []byte // what the stream sees, overwritten afterwards
}

// give hands over b, after what is held of the side, until the stream takes
// nothing more.
func (f *feed) give(side int, b []byte) error {
	if n := min(f.skip[side], len(b)); n > 0 {
		f.skip[side] -= n
		b = b[n:]
	}
	f.held[side] = append(f.held[side], b...)
	for len(f.held[side]) > 0 {
		// A parser must not hold on to what it is given: it is overwritten.
		f.copied = append(f.copied[:0], f.held[side]...)
		size := len(f.copied)
		n, err := f.stream.Next(f.out, side, f.copied)
		for i := range f.copied {
			f.copied[i] = 0xa5
		}
		switch {
		case n < 0:
			return fmt.Errorf("the stream took %d bytes", n)
		case n > size:
			f.skip[side] = n - size
			f.held[side] = f.held[side][:0]
		default:
			f.held[side] = append(f.held[side][:0], f.held[side][n:]...)
		}
		if err != nil {
			return err
		}
		if n == 0 {
			if size >= parse.MaxBuffer {
				return fmt.Errorf("the stream asked for more than %d bytes", size)
			}
			return nil
		}
	}
	return nil
}

// Run feeds a conversation to a stream, which it resets first, and ends it.
// cut, when it is not nil, says how many bytes of a chunk come next, of those
// that are left. The error is what Next returned last.
func Run(s parse.Stream, out *parse.Out, c Conversation, cut func(left int) int) error {
	s.Reset()
	f := &feed{stream: s, out: out}
	out.Session = c.Session
	defer func() { s.End(out) }()
	for _, chunk := range c.Chunks {
		out.Time = chunk.Time
		for b := chunk.Data; len(b) > 0; {
			n := len(b)
			if cut != nil {
				n = max(1, min(n, cut(n)))
			}
			if err := f.give(chunk.Side, b[:n]); err != nil {
				return err
			}
			b = b[n:]
		}
	}
	return nil
}

// RunDatagrams feeds the datagrams of a conversation. What a Datagram returned
// beside nil is joined.
func RunDatagrams(d parse.Datagrams, out *parse.Out, c Conversation) error {
	var all []error
	out.Session = c.Session
	for _, chunk := range c.Chunks {
		out.Time = chunk.Time
		err := d.Datagram(out, chunk.Side, append([]byte(nil), chunk.Data...))
		if errors.Is(err, parse.ErrDone) {
			break
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

// found is all that an Out has taken.
type found struct {
	DNS []network.DNSQuery `json:"dns,omitempty"`
	TLS []network.TLSHello `json:"tls,omitempty"`
	network.Records
}

func all(out *parse.Out) found { return found{out.DNS, out.TLS, out.Records} }

// Rows is what was found so far as JSON.
func Rows(tb testing.TB, out *parse.Out) string {
	tb.Helper()
	b, err := json.MarshalIndent(all(out), "", "  ")
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}
