package report

import (
	"errors"
	"io"

	"github.com/rind-project/rind/internal/network"
)

// Received is a report with what it took.
type Received struct {
	*network.Report
	Wire   int            // bytes that were read
	Memory int            // bytes that it takes now
	Kinds  map[string]int // bytes of each kind's rows, expanded
}

// Read decodes a report while it arrives: its bytes are expanded as they come
// and kept nowhere else, and grow is asked before memory is taken. An error of
// body, or of grow, is returned as it is.
func (d *Decoder) Read(body io.Reader, grow Grow) (Received, error) {
	in := &source{from: body, left: d.limits.Compressed}
	var head [header]byte
	n, _ := io.ReadFull(in, head[:]) // how it failed stands in in.err
	if in.err != nil {
		return Received{}, in.err
	}
	if err := checkHeader(head[:n]); err != nil {
		return Received{}, err
	}
	z, err := d.open(in, grow)
	if err != nil {
		return Received{}, err
	}
	defer d.close(z)
	message, release, err := d.expand(z, in, grow)
	defer release()
	if err != nil {
		return Received{}, err
	}
	if len(message) == 0 {
		return Received{}, invalid("it is cut off after its header")
	}
	p, err := d.parse(message, grow)
	if err != nil {
		return Received{}, err
	}
	return Received{Report: p.out, Wire: in.read, Memory: p.asked, Kinds: p.sizes()}, nil
}

const (
	firstBuffer = 64 << 10
	keptBuffer  = 4 << 20 // larger ones are not kept for the next report
)

// buffer returns memory for an expanded message, and what gives it back.
func (d *Decoder) buffer() (*[]byte, func()) {
	buffer, ok := d.buffers.Get().(*[]byte)
	if !ok {
		buffer = new(make([]byte, 0, firstBuffer))
	}
	return buffer, func() {
		if cap(*buffer) <= keptBuffer {
			d.buffers.Put(buffer)
		}
	}
}

// expand reads all of a stream. The bytes are good until release is called.
func (d *Decoder) expand(stream io.Reader, in *source, grow Grow) (_ []byte, release func(), err error) {
	buffer, release := d.buffer()
	b, asked := (*buffer)[:0], 0
	defer func() { *buffer = b }()
	for {
		if len(b) > asked && grow != nil {
			step := max(len(b)-asked, growStep)
			asked += step
			if err := grow(step); err != nil {
				return nil, release, err
			}
		}
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := stream.Read(b[len(b):min(cap(b), len(b)+growStep)])
		b = b[:len(b)+n]
		switch {
		case len(b) > d.limits.Decoded:
			return nil, release, d.expands()
		case errors.Is(err, io.EOF):
			return b, release, nil
		case in.err != nil:
			return nil, release, in.err
		case err != nil:
			return nil, release, d.damaged(err)
		}
	}
}

// source reads a body, counts, and remembers how reading failed, which a
// decompressor may hide.
type source struct {
	from io.Reader
	left int // bytes that may still be read
	read int
	err  error
}

// Read reads from the body.
func (s *source) Read(b []byte) (int, error) {
	n, err := s.from.Read(b)
	s.read += n
	if s.left -= n; s.left < 0 {
		s.err = tooLarge("more than %d bytes", s.read+s.left)
		return 0, s.err
	}
	if err != nil && !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		s.err = err
	}
	return n, err
}

// sizes are the bytes of each kind's rows.
func (p *parser) sizes() map[string]int {
	out := map[string]int{}
	for name, b := range map[string][]byte{"flows": p.flowRows, "dns": p.dnsRows, "tls": p.tlsRow} {
		if len(b) > 0 {
			out[name] = len(b)
		}
	}
	for name, size := range p.kindSizes {
		out[name] = size
	}
	return out
}
