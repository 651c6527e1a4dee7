// Package quic reads the ClientHello of a QUIC connection from the client's
// Initial packets (RFC 9000, RFC 9001, RFC 9369), which are encrypted with
// keys that anyone can derive.
package quic

import (
	"encoding/binary"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/tls"
)

// Limits.
const (
	maxPacket      = 16 << 10 // bytes of an Initial packet
	maxCrypto      = 16 << 10 // bytes of the CRYPTO stream in which the ClientHello has to be
	maxConnections = 256      // whose ClientHello is not all there yet; the oldest goes
	maxDatagrams   = 16       // of a connection in which its ClientHello has to be
	maxCoalesced   = 16       // packets in a datagram that are looked at
	maxID          = 20       // bytes of a connection id (RFC 9000 section 17.2)
)

var be = binary.BigEndian

// key is a flow.
type key struct{ session network.Session }

// Parser holds what it knows of connections whose ClientHello is not complete.
type Parser struct {
	slots  [maxConnections]connection
	index  map[key]int
	next   int // slot to be taken next
	pushed uint64

	plain []byte // of the packet in hand
	hello tls.Hello
	print tls.Printer
}

var _ parse.Datagrams = (*Parser)(nil)

// connection is one whose ClientHello is not complete.
type connection struct {
	key       key
	used      bool
	session   network.Session // of the first datagram
	datagrams int
	version   uint32
	id        [maxID]byte // that the keys are made of
	size      int
	keys      *keys
	crypto    crypto
}

// New makes a parser.
func New() *Parser {
	return &Parser{index: map[key]int{}, print: tls.NewMemory().NewPrinter()}
}

// Pushed is how many connections were given up for newer ones.
func (p *Parser) Pushed() uint64 { return p.pushed }

// LooksLike reports whether a datagram begins with a long header of a version
// of QUIC that is known (RFC 9000 section 17.2).
func LooksLike(_ int, b []byte) bool {
	h, ok := header(b)
	return ok && known(h.version)
}

// Datagram looks for the client's Initial packets in a datagram, of which it
// may hold several.
func (p *Parser) Datagram(out *parse.Out, side int, b []byte) error {
	if side != parse.Client {
		return nil
	}
	if !LooksLike(side, b) {
		return p.other(out)
	}
	c := p.connection(out)
	if c.datagrams++; c.datagrams > maxDatagrams {
		p.drop(c)
		return parse.ErrDone
	}
	for range maxCoalesced {
		h, ok := header(b)
		if !ok || !known(h.version) {
			return nil
		}
		if h.size > len(b) {
			p.drop(c)
			return parse.ErrMalformed
		}
		if h.initial && h.size <= maxPacket {
			if done, err := p.initial(out, c, h, b[:h.size]); done || err != nil {
				p.drop(c)
				return ended(err)
			}
		}
		b = b[h.size:]
	}
	return nil
}

// ended makes the end of the parser's work of what went well.
func ended(err error) error {
	if err == nil {
		return parse.ErrDone
	}
	return err
}

// other is a datagram without a long header: after one that had it, the
// ClientHello will not come any more.
func (p *Parser) other(out *parse.Out) error {
	i, ok := p.index[flowOf(out)]
	if !ok {
		return parse.ErrNot
	}
	p.drop(&p.slots[i])
	return parse.ErrDone
}

func flowOf(out *parse.Out) key {
	k := key{out.Session}
	k.session.Time = time0
	return k
}

// connection finds the flow's, or begins one in the place of the oldest.
func (p *Parser) connection(out *parse.Out) *connection {
	k := flowOf(out)
	if i, ok := p.index[k]; ok {
		return &p.slots[i]
	}
	i := p.next
	for n := 0; p.slots[i].used && n < maxConnections; n++ {
		i = (i + 1) % maxConnections
	}
	p.next = (i + 1) % maxConnections
	c := &p.slots[i]
	if c.used {
		p.pushed++
		p.drop(c)
	}
	c.key, c.used, c.session = k, true, out.Session
	p.index[k] = i
	return c
}

// drop frees a connection's place. Its buffers serve the next.
func (p *Parser) drop(c *connection) {
	delete(p.index, c.key)
	*c = connection{crypto: c.crypto.empty()}
}

// initial reads an Initial packet, and reports whether the connection's row
// was added.
func (p *Parser) initial(out *parse.Out, c *connection, h head, b []byte) (done bool, err error) {
	frames, ok := p.open(c, h, b)
	if !ok {
		return false, nil // the server's, damaged, or made up
	}
	if !c.crypto.frames(frames) {
		return false, parse.ErrMalformed
	}
	message, err := c.crypto.message()
	if err != nil || message == nil {
		return false, err
	}
	if p.hello.Message(message) != nil {
		return false, parse.ErrMalformed
	}
	n := &c.session
	row := network.TLSHello{Time: n.Time, Client: n.Client, Server: n.Server, SrcPort: n.ClientPort, DstPort: n.ServerPort, Proto: n.Proto}
	p.print.Fill(out, &row, &p.hello, tls.OverQUIC)
	parse.Add(out, &out.TLS, row)
	return true, nil
}
