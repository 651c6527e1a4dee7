package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/dns"
	"github.com/rind-project/rind/internal/network/packet/parse"
)

// oddFrames are the frames of a capture that two readers may count differently
// without one of them being wrong, by their number from 1.
type oddFrames struct {
	malformed map[uint64]bool // their headers contradict themselves
	fragments map[uint64]bool
	names     map[uint64]bool // questions that cannot be read

	decoder packet.Decoder
	pkt     packet.Packet
	parser  *dns.Parser
	out     *parse.Out
	n       uint64
}

// findOdd reads the capture for them.
func findOdd(ctx context.Context, path string) (*oddFrames, error) {
	f, err := capture.OpenFile(ctx, path, capture.FileOptions{})
	if err != nil {
		return nil, err
	}
	defer f.Close()
	o := &oddFrames{
		malformed: map[uint64]bool{}, fragments: map[uint64]bool{}, names: map[uint64]bool{},
		parser: dns.New(), out: parse.NewOut(1, 1<<10),
	}
	for err == nil {
		_, err = f.Read(o, 0)
	}
	if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("looking for odd frames: %w", err)
	}
	return o, nil
}

// Packet implements capture.Handler.
func (o *oddFrames) Packet(ts int64, link packet.LinkType, data []byte, wireLen int) {
	o.n++
	p := &o.pkt
	status := o.decoder.Decode(link, data, wireLen, p)
	p.Time = ts
	switch {
	case status.Malformed():
		o.malformed[o.n] = true
	case p.Fragment:
		o.fragments[o.n] = true
	case status == packet.IP && p.Proto == uint8(network.UDP) && p.DstPort == dns.Port && len(p.Payload) > 0:
		if err := o.parser.Datagram(o.out, parse.Client, p.Payload); errors.Is(err, parse.ErrMalformed) || errors.Is(err, parse.ErrNot) {
			o.names[o.n] = true
		}
	}
}
