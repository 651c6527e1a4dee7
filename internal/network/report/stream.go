package report

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// The windows for which there are decoders: a decoder holds memory for the
// largest window that it takes, as soon as a frame announces it.
const (
	windowClasses = 5
	firstWindow   = 256 << 10
	windowFactor  = 4
)

// streams are decoders that wait for the next report, by the window that they
// take.
type streams [windowClasses]sync.Pool

// stream expands one zstd stream in the caller's goroutine.
type stream struct {
	*zstd.Decoder
	class int
}

// open returns a decoder for what in holds, when there is memory for the window
// that its first frame announces. A later frame may have no larger one.
func (d *Decoder) open(in *source, grow Grow) (*stream, error) {
	head := make([]byte, zstd.HeaderMaxSize)
	n, err := io.ReadFull(in, head)
	if in.err != nil {
		return nil, in.err
	}
	if n == 0 {
		return nil, invalid("it is cut off after its header: %w", err)
	}
	var h zstd.Header
	if err := h.Decode(head[:n]); err != nil {
		return nil, d.damaged(err)
	}
	need := h.WindowSize
	if h.SingleSegment {
		need = h.FrameContentSize
	}
	if need > uint64(d.limits.Decoded) {
		return nil, d.expands()
	}
	class, window := 0, firstWindow
	for window < int(need) {
		class, window = class+1, window*windowFactor
	}
	window = min(window, max(d.limits.Decoded, firstWindow))
	if grow != nil {
		// A decoder holds up to twice a small window, and somewhat more than a
		// large one.
		if err := grow(int(need) + min(int(need), 2<<20) + growStep); err != nil {
			return nil, err
		}
	}
	rest := io.MultiReader(bytes.NewReader(head[:n]), in)
	if z, ok := d.streams[class].Get().(*zstd.Decoder); ok {
		return &stream{z, class}, z.Reset(rest)
	}
	z, err := zstd.NewReader(rest, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(uint64(d.limits.Decoded)), zstd.WithDecoderMaxWindow(uint64(window)))
	if err != nil {
		return nil, d.damaged(err)
	}
	return &stream{z, class}, nil
}

// close lets the decoder wait for the next report.
func (d *Decoder) close(s *stream) {
	_ = s.Reset(nil) // it lets go of the body; reading it would say so
	d.streams[s.class].Put(s.Decoder)
}
