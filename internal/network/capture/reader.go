package capture

import (
	"errors"
	"io"
)

const (
	// bufferSize is what a core's own cache holds: bytes that the kernel has
	// just copied are still there when they are looked at.
	bufferSize = 256 << 10
	maxPeek    = 4 << 20 // the buffer grows up to here when one record needs it
)

// reader gives a view on the next bytes of a stream, through one buffer.
type reader struct {
	src    io.Reader
	buf    []byte
	lo, hi int
	off    int64 // of buf[lo] in the stream
	err    error // what ended the stream
}

func newReader(src io.Reader) *reader { return &reader{src: src, buf: make([]byte, bufferSize)} }

// peek returns the next n bytes without taking them. At the end of the
// stream it returns fewer, with io.EOF when there is none at all and
// io.ErrUnexpectedEOF otherwise. n must not be over maxPeek.
func (r *reader) peek(n int) ([]byte, error) {
	for empty := 0; r.hi-r.lo < n; {
		if r.err != nil {
			return r.buf[r.lo:r.hi], r.ended()
		}
		if r.lo > 0 {
			r.hi = copy(r.buf, r.buf[r.lo:r.hi])
			r.lo = 0
		}
		if n > len(r.buf) {
			r.buf = append(r.buf, make([]byte, min(max(n, 2*len(r.buf)), maxPeek)-len(r.buf))...)
		}
		var got int
		got, r.err = r.src.Read(r.buf[r.hi:])
		r.hi += got
		if empty++; got > 0 {
			empty = 0
		} else if empty > 100 && r.err == nil {
			r.err = io.ErrNoProgress
		}
	}
	return r.buf[r.lo : r.lo+n], nil
}

func (r *reader) ended() error {
	if !errors.Is(r.err, io.EOF) {
		return r.err
	}
	if r.hi == r.lo {
		return io.EOF
	}
	return io.ErrUnexpectedEOF
}

// skip takes n bytes that peek has returned.
func (r *reader) skip(n int) {
	r.lo += n
	r.off += int64(n)
}

// discard takes n bytes without keeping them, however many they are.
func (r *reader) discard(n int64) error {
	for n > 0 {
		step := int(min(n, bufferSize))
		if have := r.hi - r.lo; have > 0 {
			step = min(step, have)
		} else if _, err := r.peek(1); err != nil {
			if errors.Is(err, io.EOF) {
				return io.ErrUnexpectedEOF
			}
			return err
		} else {
			continue
		}
		r.skip(step)
		n -= int64(step)
	}
	return nil
}
