package capture

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/packet"
)

const (
	maxRecord   = 1 << 20 // bytes of one packet; larger ones are damage
	fileBatch   = 4096    // packets handed over in one Read
	gzipMagic   = 0x1f8b
	maxUnixNano = 1<<63 - 2 // one less than fits, so that a window can end behind it
)

// FileOptions says how a file is read.
type FileOptions struct {
	// Window, when set, ends a batch before the first packet of a later window
	// of this length (aligned to 1970), so that reports can be cut by packet
	// time. A packet older than the one before stays in the window it is read in.
	Window time.Duration
	// Filter leaves out the records that it does not select; see package filter.
	Filter string
	// Speed replays the file: 1 at its own speed by the times of its packets, 10
	// ten times as fast. 0 reads it as fast as it can be read.
	Speed float64
}

// record is one packet of a file. data is valid until the next ones are read.
type record struct {
	ts   int64
	link packet.LinkType
	data []byte
	wire int
}

// format reads the records of one file format. The end of the file is io.EOF;
// every other error is a *damage or comes from the operating system.
type format interface {
	// next reads the next record, and as many of those behind it as are there
	// without waiting and fit into the list.
	next(list []record) (int, error)
}

// damage is a fault in a file; what says which, at its offset.
type damage struct {
	off  int64
	what string
}

func (d *damage) Error() string { return fmt.Sprintf("damaged at byte %d: %s", d.off, d.what) }

// Damaged reports whether reading a file ended at a fault in the file itself.
func Damaged(err error) bool {
	_, ok := errors.AsType[*damage](err)
	return ok
}

// File reads a pcap or pcapng file, also gzipped, record by record. Packets
// before a damage are delivered; then Read returns the error.
type File struct {
	name    string
	close   []io.Closer
	format  format
	opts    FileOptions
	list    [maxExpect]record
	read    int     // records in list
	at      int     // of which so many were looked at
	rec     *record // the one in hand
	fresh   bool    // list was not shown yet
	pending bool    // rec was not handed over yet
	filter  fileFilter
	pace    pace
	err     error
	failed  bool  // err says where
	end     int64 // of the window, 0 before the first packet
	cut     int64 // end of the window that the last batch closed, 0 is none
	count   uint64
	ahead   [maxExpect][]byte
}

var _ Source = (*File)(nil)

// NewFile reads a capture from r; name stands in errors and in the ledger.
func NewFile(r io.Reader, name string, opts FileOptions) (*File, error) {
	f := &File{name: name, opts: opts, filter: fileFilter{text: opts.Filter}, pace: pace{speed: opts.Speed}}
	if err := f.filter.check(); err != nil {
		return nil, err
	}
	in := newReader(r)
	head, err := in.peek(4)
	if err == nil && int(head[0])<<8|int(head[1]) == gzipMagic {
		z, zerr := gzip.NewReader(&unread{in})
		if zerr != nil {
			return nil, f.fail(&damage{0, "gzip header: " + zerr.Error()})
		}
		in = newReader(z)
		head, err = in.peek(4)
	}
	switch {
	case errors.Is(err, io.EOF):
		return nil, f.fail(&damage{0, "the file is empty"})
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, f.fail(&damage{0, fmt.Sprintf("only %d bytes; not a pcap or pcapng file", len(head))})
	case err != nil:
		return nil, f.fail(err)
	}
	if f.format, err = newFormat(in, [4]byte(head)); err != nil {
		return nil, f.fail(err)
	}
	return f, nil
}

// newFormat recognises the format by the first four bytes.
func newFormat(in *reader, magic [4]byte) (format, error) {
	if magic == [4]byte{0x0a, 0x0d, 0x0d, 0x0a} {
		return newPcapng(in)
	}
	if f, ok := pcapMagic(magic); ok {
		return newPcap(in, f)
	}
	return nil, &damage{0, fmt.Sprintf("begins with % x; not a pcap or pcapng file: write it as one (editcap -F pcap IN OUT converts other formats)", magic)}
}

// unread reads what is buffered first.
type unread struct{ r *reader }

// Read implements io.Reader.
func (u *unread) Read(b []byte) (int, error) {
	view, err := u.r.peek(1)
	if len(view) == 0 {
		return 0, err
	}
	n := copy(b, u.r.buf[u.r.lo:u.r.hi])
	u.r.skip(n)
	return n, nil
}

// fail makes the one error that a reader of the file sees.
func (f *File) fail(err error) error {
	if d, ok := errors.AsType[*damage](err); ok {
		return errs.New(errs.Invalid, "read capture %s: %w", f.name, d)
	}
	return fmt.Errorf("read capture %s: %w", f.name, err)
}

// Name returns the path.
func (f *File) Name() string { return f.name }

// Read implements Source. Of a file that is not replayed, wait is of no use.
func (f *File) Read(h Handler, wait time.Duration) (int, error) {
	f.cut = 0
	expecter, _ := h.(Expecter)
	for n := 0; n < fileBatch; {
		if !f.pending {
			if err := f.advance(); err != nil {
				return n, err
			}
		}
		if ahead := f.pace.ahead(f.rec.ts); ahead > 0 {
			f.pending = true
			if n == 0 {
				time.Sleep(min(ahead, max(wait, paceStep)))
			}
			return n, nil
		}
		if f.pending = f.crosses(); f.pending {
			return n, nil
		}
		if f.fresh && expecter != nil {
			f.expect(expecter)
		}
		f.count++
		n++
		h.Packet(f.rec.ts, f.rec.link, f.rec.data, f.rec.wire)
		n += f.follow(h, fileBatch-n)
	}
	return fileBatch, nil
}

// follow hands over at most so many of the records that were read with the one
// in hand, up to the first that is of a later window. Records that are filtered
// or replayed go one by one instead.
func (f *File) follow(h Handler, most int) int {
	if f.opts.Filter != "" || f.opts.Speed > 0 {
		return 0
	}
	end := f.end
	if f.opts.Window <= 0 {
		end = math.MaxInt64
	}
	list := f.list[f.at:f.read]
	list = list[:min(len(list), most)]
	for i := range list {
		r := &list[i]
		if r.ts >= end {
			list = list[:i]
			break
		}
		h.Packet(r.ts, r.link, r.data, r.wire)
	}
	f.at += len(list)
	f.count += uint64(len(list))
	return len(list)
}

// advance reads the next record that the filter selects.
func (f *File) advance() error {
	for f.err == nil {
		if f.at == f.read {
			f.at, f.fresh = 0, true
			f.read, f.err = f.format.next(f.list[:])
			if f.err != nil {
				break
			}
		}
		f.rec = &f.list[f.at]
		f.at++
		var selected bool
		if selected, f.err = f.filter.selects(f.rec); selected {
			return nil
		}
	}
	if !errors.Is(f.err, io.EOF) && !f.failed {
		f.err, f.failed = f.fail(f.err), true
	}
	return f.err
}

// crosses reports whether the record begins a later window, and moves on to
// that window.
func (f *File) crosses() bool {
	w := int64(f.opts.Window)
	if w <= 0 || f.rec.ts < f.end {
		return false
	}
	f.cut = f.end
	if f.end = (f.rec.ts/w + 1) * w; f.end <= 0 {
		f.end = maxUnixNano + 1
	}
	return f.cut != 0
}

// WindowDone returns the end of the window that the last Read completed; ok is
// false when it completed none, and a report need not be cut.
func (f *File) WindowDone() (end time.Time, ok bool) { return time.Unix(0, f.cut).UTC(), f.cut != 0 }

// Stats implements Source.
func (f *File) Stats() (Stats, error) {
	return Stats{Received: f.count, Read: f.count, Filtered: f.filter.left}, nil
}

// Close implements Source.
func (f *File) Close() error {
	var all []error
	for _, c := range f.close {
		all = append(all, c.Close())
	}
	f.close = nil
	return errors.Join(all...)
}
