// Package parse is what the protocol parsers and the pipeline agree on: how a
// parser is given bytes, and where it puts what it found.
//
// A parser is a struct that is reused, keeps its own small, bounded state, and
// never holds on to the bytes that it is given. It is one of three:
//
//   - a Frames parser sees whole frames that are not IP (ARP, LLDP) or packets
//     of a protocol without ports;
//   - a Datagrams parser sees the payloads of UDP flows, one instance for all;
//   - a Stream follows one TCP connection, and sees the bytes of each side in
//     order.
//
// Work is linear in the bytes given. What a parser found it appends with Add
// to a list of Out.Records; text goes through Out.Text or Out.Lower, which
// clean, bound and intern it.
package parse

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rind-project/rind/internal/network"
)

// The sides of a conversation.
const (
	Client = 0 // who opened it
	Server = 1
)

// MaxBuffer is how much of a side's stream is held at most for a parser that
// wants more before it takes any.
const MaxBuffer = 16 << 10

// minRoom is how many rows of a report have the next one reserve memory.
const minRoom = 64

// What a parser says of what it was given, beside nil.
var (
	// ErrDone says that nothing more of this flow is of interest.
	ErrDone = errors.New("done")
	// ErrHTTP2 is ErrDone of a Stream whose ends went over to HTTP/2: the flow
	// is to be named after that.
	ErrHTTP2 = fmt.Errorf("%w: goes on as HTTP/2", ErrDone)
	// ErrNot says that the flow is not of this protocol.
	ErrNot = errors.New("not of this protocol")
	// ErrMalformed says that it began like this protocol and went wrong. It is
	// counted, per protocol, and the flow is not looked at any more.
	ErrMalformed = errors.New("malformed")
	// ErrTLS, of a Stream, says that what follows the n bytes taken is TLS on
	// both sides, as after STARTTLS. Its End is called, and a TLS parser goes on.
	ErrTLS = errors.New("goes on as TLS")
	// ErrAgain, of a Stream, says that what follows the n bytes taken is another
	// conversation, as behind a proxy's answer: it is recognised afresh.
	ErrAgain = errors.New("goes on as something else")
)

// Datagrams parses the payloads of UDP flows of one protocol. side says who
// sent the payload.
type Datagrams interface {
	Datagram(out *Out, side int, b []byte) error
}

// Stream parses one TCP connection. Streams are pooled: Reset makes one ready
// for the next connection.
type Stream interface {
	Reset()
	// Next is given the bytes of one side that it has not taken yet, in order,
	// at least one. It returns how many it has taken: 0 asks for more than
	// these, and is not to be answered to MaxBuffer bytes; more than len(b)
	// passes over what is still to come without it being held or shown.
	Next(out *Out, side int, b []byte) (n int, err error)
	// End is called once when the flow has ended, went idle, lost a segment or
	// the parser returned an error: what is pending is put into out now.
	End(out *Out)
}

// Out takes what parsers find.
type Out struct {
	network.Session // of the packet in hand: its time and its flow
	Records         network.Records
	DNS             []network.DNSQuery
	TLS             []network.TLSHello
	MaxRows         int    // of each list
	Rows            uint64 // how many were added, ever
	Over            uint64 // how many were left out: a list, the texts or the flow had their fill

	// Flow counts the rows of the flow in hand in this report, up to MaxFlow;
	// nil counts none. The pipeline sets it.
	Flow    *uint32
	MaxFlow uint32

	shares []Share // of parsers that others keep rows for
	whose  int     // 1 + the place of whose the next rows are; 0: of the parser that was called

	text   Interner
	report uint64 // number of the report in hand, from 0
	before [3]int // rows of DNS, TLS and HTTP in the report before
}

// NewOut makes an Out with bounds on the rows of each list and on the bytes of
// different texts in one report.
func NewOut(maxRows, maxText int) *Out {
	return &Out{MaxRows: maxRows, text: newInterner(maxText)}
}

// Add appends a row to a list of out. A list that is full keeps what it has,
// and the row is counted in Over; so is one with a text for which there was no
// room, and one of a flow that has had its share of this report.
func Add[T any](out *Out, list *[]T, row T) {
	if len(*list) >= out.MaxRows || out.text.overflown() || out.Flow != nil && *out.Flow >= out.MaxFlow {
		out.Over++
		out.text.forgive()
		if out.whose > 0 {
			out.shares[out.whose-1].Over++
		}
		return
	}
	if out.Flow != nil {
		*out.Flow++
	}
	out.Rows++
	if out.whose > 0 {
		out.shares[out.whose-1].Rows++
	}
	if n := len(*list); n == 0 && cap(*list) == 0 {
		*list = make([]T, 0, out.room(list))
	} else if n == cap(*list) && n >= minRoom {
		*list = slices.Grow(*list, n) // by a quarter, as append does, would copy rows over and over
	}
	*list = append(*list, row)
}

// Text makes a string of what should be printable text: what is not UTF-8 or
// not printable becomes \DDD. It keeps at most MaxText bytes.
func (o *Out) Text(b []byte) string { return o.text.text(b, false) }

// Lower is Text in lower case (ASCII).
func (o *Out) Lower(b []byte) string { return o.text.text(b, true) }

// Intern makes a string of bytes that are known to be clean.
func (o *Out) Intern(b []byte) string { return o.text.intern(b) }

// Report numbers the reports from 1: a text that was made for one can be used
// for all rows of it.
func (o *Out) Report() uint64 { return o.report + 1 }

// Full reports whether there was no room for a text of the row in hand.
func (o *Out) Full() bool { return o.text.overflown() }

// Append is the built-in append for a list of texts in a row, without an
// allocation for each. The list begins as nil.
func (o *Out) Append(list []string, s string) []string { return o.text.mem.append(list, s) }

// Cut takes the records out and begins the next report.
func (o *Out) Cut() network.Records {
	r := o.Records
	o.Records, o.DNS, o.TLS = network.Records{}, nil, nil
	o.text.clear()
	o.report++
	return r
}

// CutInto moves all that was found into a report and begins the next. The first
// row of the next one of the kinds that are frequent reserves room for as many:
// by then the report has mostly been encoded.
func (o *Out) CutInto(r *network.Report) {
	r.DNS, r.TLS = o.DNS, o.TLS
	r.Records = o.Cut()
	o.before = [3]int{len(r.DNS), len(r.TLS), len(r.Records.HTTP)}
}

// Reuse takes back the lists of a report that nobody reads any more, of the
// kinds that are frequent, for rows that are still to come.
func (o *Out) Reuse(r *network.Report) {
	o.DNS, o.TLS, o.Records.HTTP = Again(o.DNS, r.DNS), Again(o.TLS, r.TLS), Again(o.Records.HTTP, r.Records.HTTP)
}

// Again is list, or, when it has no memory yet, an empty list in the memory of
// one that is not used any more. One that was far larger than its rows needed
// is let go, so that an odd report holds no memory for ever.
func Again[T any](list, used []T) []T {
	if cap(list) > 0 || cap(used) > 4*max(len(used), minRoom) {
		return list
	}
	return used[:0]
}

// room is how many rows the first one of a list makes room for.
func (o *Out) room(list any) int {
	for i, frequent := range [...]any{&o.DNS, &o.TLS, &o.Records.HTTP} {
		if n := o.before[i]; list == frequent && n >= minRoom {
			return n + n/8
		}
	}
	return 0
}
