// Package report is the wire format of a report: what a tap spools and what a
// node decodes.
//
// A report on the wire is a header of five bytes, the letters "RIND" and the
// version of the format (1), and one zstd frame (level 1, with checksum). In
// the frame stands a protobuf message, written by columns: every field of all
// flows lies together, so that it compresses, and addresses, names and MACs
// stand once in a dictionary. Times are microseconds since 1970, zigzag; in a
// column each is the difference from the row before. All numbers are varints.
//
//	 1 tap            string
//	 2 boot           string
//	 3 sequence       varint
//	 4 start          zigzag µs
//	 5 end            zigzag µs, from start
//	 6 seed           varint: Community ID seed
//	 7 health         message: 1 version, 2 cpu (double), 3 memory, 4 flows active, 5 flows max,
//	                  6 spool reports, 7 spool bytes, 8 spool dropped, 9 ring bytes,
//	                  10 parser (message, repeated: 1 name, 2 recognised, 3 transactions, 4 left out,
//	                  5 malformed, 6 panics, 7 given up), 11 ring used, 12 ring full, 13 spool age (µs),
//	                  14 clock skew (zigzag µs)
//	 8 ledger         message, repeated: 1 interface, 2 received, 3 summarised, 4 dropped kernel,
//	                  5 dropped pipeline, 6 malformed, 7 held, 8 released, 9 bytes
//	 9 gap            message: 1 boot, 2 sequence, 3 from (zigzag µs), 4 to (zigzag µs)
//	10 ipv4           bytes: 4 per address        an address is an index: 0 none, then ipv4, then ipv6
//	11 ipv6           bytes: 16 per address
//	12 name lengths   packed                      a name is an index: 0 is "", 1 the first
//	13 names          bytes, end to end
//	14 macs           bytes: 6 per address        an index: 0 is all zero, 1 the first
//	15 flows          message of columns
//	16 dns            message of columns
//	17 tls            message of columns
//	18 records        message, repeated: 1 the kind's name, 2 count of rows, 3 column, repeated:
//	                  1 name, 2 packed values, 3 packed elements of lists
//
// In a message of columns field 1 is the count of rows and stands first; each
// further field is one packed column with exactly that many values. A column
// that is absent is all zero. The columns' numbers stand in wire.go. Lists
// (answers, ALPN, names) are a column of lengths and one of all elements end to end.
//
// Records are the kinds of network.Records, as package record reads them. Their
// columns go by name: a time is zigzag, from the row before; a duration is
// zigzag microseconds; an address, a MAC and a text are indices; a signed
// number is zigzag. A kind and a column that a reader does not know it skips;
// the rows of unknown kinds are counted.
//
// A reader skips fields that it does not know, so columns can be added; a
// change that a reader must not skip raises the version.
//
// The JSON form of a report is encoding/json of network.Report.
package report

import (
	"cmp"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
)

// ContentType is that of a report in HTTP.
const ContentType = "application/x-rind-report"

// TimeHeader is the header of HTTP in which a tap says what its clock shows
// while it sends, as RFC 3339: the times in a report are that clock's.
const TimeHeader = "Rind-Time"

// What a report may hold at most, on every reader.
const (
	MaxInterfaces = 1024
	MaxAnswers    = 16
	MaxALPN       = 8
	MaxCertNames  = 8
	namesPerRow   = 4 // different names that a report holds, per row that Limits allows of one kind
)

// Limits bounds what Decode accepts. Over one of them a report is refused
// before memory is taken for it.
type Limits struct {
	Compressed int // bytes on the wire
	Decoded    int // bytes of the message in the zstd frame
	Rows       int // of flows, DNS queries and TLS hellos each, and of all kinds of records together
	String     int // bytes of one string
	Memory     int // bytes of the rows in memory; 0 is 256 MiB
}

func (l Limits) memory() int { return cmp.Or(l.Memory, 256<<20) }

// DefaultLimits are those of a node, and those that Encode keeps to.
func DefaultLimits() Limits {
	return Limits{Compressed: 8 << 20, Decoded: 32 << 20, Rows: 200_000, String: 1 << 10}
}

// Encode writes the wire form. Times lose what is below a microsecond. A
// string that no reader would take (NUL, not UTF-8, too long) is cleaned, not
// refused: it comes from a packet. More rows than DefaultLimits allows is
// TooLarge: see Split.
func Encode(r *network.Report) ([]byte, error) {
	e, err := NewEncoder()
	if err != nil {
		return nil, err
	}
	return e.Encode(r)
}

// Decode reads the wire form. Input that is broken is errs.Invalid, input over
// a limit is errs.TooLarge; the message says which.
func Decode(b []byte, limits Limits) (*network.Report, error) {
	d, err := NewDecoder(limits)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Decode(b)
}

func invalid(format string, args ...any) error {
	return errs.New(errs.Invalid, "decoding a report: "+format, args...)
}

func tooLarge(format string, args ...any) error {
	return errs.New(errs.TooLarge, "decoding a report: "+format, args...)
}
