package capture

import (
	"io"
	"time"
)

// FileOptions says how a file is read.
type FileOptions struct {
	// Window, when set, ends a batch before the first packet of a later window
	// of this length (aligned to 1970), so that reports can be cut by packet
	// time. A packet older than the one before stays in the window it is read in.
	Window time.Duration
}

// File reads a pcap or pcapng file, also gzipped.
type File struct{}

var _ Source = (*File)(nil)

// OpenFile opens a capture file and reads its header.
func OpenFile(path string, opts FileOptions) (*File, error) { return nil, errSoon }

// NewFile reads a capture from r; name stands in errors and in the ledger.
func NewFile(r io.Reader, name string, opts FileOptions) (*File, error) { return nil, errSoon }

// Name returns the path.
func (f *File) Name() string { return "" }

// Read implements Source.
func (f *File) Read(h Handler, wait time.Duration) (int, error) { return 0, errSoon }

// NextWindow returns the end of the window that the next packet is in, or
// zero when no Window was asked for or the file has ended.
func (f *File) NextWindow() time.Time { return time.Time{} }

// Stats implements Source.
func (f *File) Stats() (Stats, error) { return Stats{}, errSoon }

// Close implements Source.
func (f *File) Close() error { return nil }
