// Package parsetest drives one protocol parser without the pipeline: over a
// capture, over made-up conversations, and over bytes of a fuzzer, however
// they are cut into segments.
package parsetest

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// Chunk is what one side sent at once.
type Chunk struct {
	Time time.Time
	Side int
	Data []byte
}

// Conversation is a flow's session and what was said in it.
type Conversation struct {
	Session network.Session // Time is the first chunk's
	Chunks  []Chunk
}

// Talk makes a conversation over TCP between 192.0.2.1:40000 and
// 192.0.2.2:port, a millisecond between chunks.
func Talk(port uint16, chunks ...Chunk) Conversation {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c := Conversation{Session: network.Session{
		Time: start, Client: netip.MustParseAddr("192.0.2.1"), ClientPort: 40000,
		Server: netip.MustParseAddr("192.0.2.2"), ServerPort: port, Proto: network.TCP,
	}}
	for i, chunk := range chunks {
		chunk.Time = start.Add(time.Duration(i) * time.Millisecond)
		c.Chunks = append(c.Chunks, chunk)
	}
	return c
}

// C is a chunk from the client.
func C(data string) Chunk { return Chunk{Side: parse.Client, Data: []byte(data)} }

// S is a chunk from the server.
func S(data string) Chunk { return Chunk{Side: parse.Server, Data: []byte(data)} }

// flow gathers the packets of one flow. Segments are taken in order; one that
// repeats what was seen is left out, one after a gap fails the test.
type flow struct {
	conv    Conversation
	started [2]bool
	next    [2]uint32
}

type collector struct {
	tb      testing.TB
	proto   network.Proto
	port    uint16
	decoder packet.Decoder
	pkt     packet.Packet
	flows   map[network.Session]*flow
	order   []*flow
}

// Conversations reads the flows of a capture that have the port at one end,
// which is taken for the server's, in the order in which they began. Of TCP,
// the chunks are the payloads in order without what was sent twice; a capture
// in which a segment is missing or late is not for this helper.
func Conversations(tb testing.TB, path string, proto network.Proto, port uint16) []Conversation {
	tb.Helper()
	f, err := capture.OpenFile(context.Background(), path, capture.FileOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	c := &collector{tb: tb, proto: proto, port: port, flows: map[network.Session]*flow{}}
	for {
		if _, err := f.Read(c, 0); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			tb.Fatal(err)
		}
	}
	var all []Conversation
	for _, f := range c.order {
		if len(f.conv.Chunks) > 0 {
			f.conv.Session.Time = f.conv.Chunks[0].Time
			all = append(all, f.conv)
		}
	}
	if len(all) == 0 {
		tb.Fatalf("%s: no payload of %v port %d", path, proto, port)
	}
	return all
}

func addr(a packet.Addr) netip.Addr {
	var b [16]byte
	for i := range 8 {
		b[i], b[8+i] = byte(a.Hi>>(56-8*i)), byte(a.Lo>>(56-8*i))
	}
	return netip.AddrFrom16(b).Unmap()
}

// Packet implements capture.Handler.
func (c *collector) Packet(ts int64, link packet.LinkType, data []byte, wireLen int) {
	p := &c.pkt
	if c.decoder.Decode(link, data, wireLen, p) != packet.IP || network.Proto(p.Proto) != c.proto {
		return
	}
	s := network.Session{
		Client: addr(p.Src), ClientPort: p.SrcPort, Server: addr(p.Dst), ServerPort: p.DstPort,
		Proto: c.proto, VLAN: p.VLAN,
	}
	side := parse.Client
	switch {
	case p.DstPort == c.port:
	case p.SrcPort == c.port:
		side = parse.Server
		s.Client, s.ClientPort, s.Server, s.ServerPort = s.Server, s.ServerPort, s.Client, s.ClientPort
	default:
		return
	}
	f := c.flows[s]
	if f == nil {
		f = &flow{conv: Conversation{Session: s}}
		c.flows[s] = f
		c.order = append(c.order, f)
	}
	b := p.Payload
	if c.proto == network.TCP {
		b = f.inOrder(c.tb, p, side)
	}
	if len(b) > 0 {
		f.conv.Chunks = append(f.conv.Chunks, Chunk{time.Unix(0, ts).UTC(), side, append([]byte(nil), b...)})
	}
}

// inOrder returns the part of the segment that was not seen yet.
func (f *flow) inOrder(tb testing.TB, p *packet.Packet, side int) []byte {
	seq, b := p.Seq, p.Payload
	if p.TCPFlags&packet.SYN != 0 {
		f.started[side], f.next[side] = true, seq+1
		return nil
	}
	if len(b) == 0 {
		return nil
	}
	if !f.started[side] {
		f.started[side], f.next[side] = true, seq
	}
	ahead := int32(seq - f.next[side])
	if ahead > 0 {
		tb.Fatalf("the capture lacks %d bytes of side %d", ahead, side)
	}
	if int(-ahead) >= len(b) {
		return nil
	}
	b = b[-ahead:]
	f.next[side] += uint32(len(b))
	return b
}
