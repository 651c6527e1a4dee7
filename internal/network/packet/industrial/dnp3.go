package industrial

import (
	"hash/maphash"
	"net/netip"
	"strconv"

	"github.com/rind-project/rind/internal/network/packet/parse"
)

const (
	linkLen     = 10   // of the link header with its checksum
	minLink     = 5    // control and addresses
	blockLen    = 16   // user data between checksums
	firstBit    = 0x40 // FIR of the transport octet
	confirm     = 0
	response    = 129
	unsolicited = 130
	authResp    = 131
	maxFrames   = 64 // of one datagram
)

// reader reads link frames (IEEE 1815-2012 clause 9), and of the first
// transport segment of each fragment (clause 8) the application header (clause
// 4). A response is counted for the function whose request had its sequence
// number.
type reader struct {
	asked [16]uint8 // function by sequence number
}

// LooksLikeDNP3 reports whether b begins with a link header whose checksum is
// right.
func LooksLikeDNP3(b []byte) bool {
	return len(b) >= linkLen && b[0] == 0x05 && b[1] == 0x64 && b[2] >= minLink && checksum(b[:8]) == le.Uint16(b[8:])
}

// frameLen is how long the frame with that length octet is.
func frameLen(length byte) int {
	data := int(length) - minLink
	return linkLen + data + 2*((data+blockLen-1)/blockLen)
}

// frame takes a frame of which at least the header and the first block, or all
// of it, are there.
func (r *reader) frame(t *Table, out *parse.Out, b []byte) {
	if data := int(b[2]) - minLink; data < 3 || b[10]&firstBit == 0 {
		return
	}
	dest, source := le.Uint16(b[4:]), le.Uint16(b[6:])
	sequence, function := b[11]&15, b[12]
	s := sum{protocol: "dnp3", unit: dest, source: source, function: function}
	switch function {
	case response, authResp:
		s.response, s.unit, s.source = true, source, dest
		if f := r.asked[sequence]; f != 0 {
			s.function = f
		}
		s.failed = bad(b)
	case unsolicited:
		s.response, s.unit, s.source = true, source, dest
	case confirm: // of a response, maybe an unsolicited one, whose numbers are others
	default:
		r.asked[sequence] = function
	}
	s.name = dnp3Name(s.function)
	t.add(out, s)
}

// bad reports whether the internal indications of a response say that the
// request was not understood: function, object or parameter (clause 4.3.5).
func bad(b []byte) bool { return b[2] >= minLink+5 && len(b) > 14 && b[14]&7 != 0 }

// DNP3 is a connection that carries DNP3.
type DNP3 struct {
	table *Table
	sides reader
	known bool
}

var _ parse.Stream = (*DNP3)(nil)

// NewDNP3 makes a DNP3 whose functions the table sums.
func (t *Table) NewDNP3() *DNP3 { return &DNP3{table: t} }

// Reset makes it ready for the next connection.
func (d *DNP3) Reset() { d.sides, d.known = reader{}, false }

// Next takes a frame.
func (d *DNP3) Next(out *parse.Out, _ int, b []byte) (int, error) {
	if len(b) < linkLen {
		return 0, nil
	}
	if !LooksLikeDNP3(b) {
		if d.known {
			return 0, parse.ErrMalformed
		}
		return 0, parse.ErrNot
	}
	d.known = true
	size := frameLen(b[2])
	if len(b) < size {
		return 0, nil
	}
	d.sides.frame(d.table, out, b)
	return size, nil
}

// End does nothing: the sums are the Table's.
func (d *DNP3) End(*parse.Out) {}

// Datagrams reads DNP3 over UDP. One serves all flows; which function was
// asked for last it knows of as many flows as its table has places.
type Datagrams struct {
	table *Table
	seed  maphash.Seed
	flows [256]struct {
		key   ends
		asked reader
	}
}

type ends struct {
	client, server netip.Addr
	clientPort     uint16
	serverPort     uint16
}

var _ parse.Datagrams = (*Datagrams)(nil)

// NewDatagrams makes a Datagrams whose functions the table sums.
func (t *Table) NewDatagrams() *Datagrams { return &Datagrams{table: t, seed: maphash.MakeSeed()} }

// Datagram reads the frames of a datagram.
func (d *Datagrams) Datagram(out *parse.Out, _ int, b []byte) error {
	if !LooksLikeDNP3(b) {
		return parse.ErrNot
	}
	k := ends{out.Client, out.Server, out.ClientPort, out.ServerPort}
	f := &d.flows[maphash.Comparable(d.seed, k)%uint64(len(d.flows))]
	if f.key != k {
		f.key, f.asked = k, reader{}
	}
	for range maxFrames {
		if len(b) == 0 {
			break
		}
		if !LooksLikeDNP3(b) || frameLen(b[2]) > len(b) {
			return parse.ErrMalformed
		}
		f.asked.frame(d.table, out, b)
		b = b[frameLen(b[2]):]
	}
	return nil
}

// checksum is DNP3's CRC-16 (clause 9.2.4.4): polynomial 0x3d65 reflected.
func checksum(b []byte) uint16 {
	crc := uint16(0)
	for _, c := range b {
		crc ^= uint16(c)
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0xa6bc
			} else {
				crc >>= 1
			}
		}
	}
	return ^crc
}

var dnp3Names = [...]string{"confirm", "read", "write", "select", "operate", "direct operate", "direct operate no ack", "immediate freeze",
	"immediate freeze no ack", "freeze clear", "freeze clear no ack", "freeze at time", "freeze at time no ack", "cold restart",
	"warm restart", "initialize data", "initialize application", "start application", "stop application", "save configuration",
	"enable unsolicited", "disable unsolicited", "assign class", "delay measure", "record current time", "open file", "close file",
	"delete file", "get file info", "authenticate file", "abort file", "activate configuration", "authentication request",
	"authentication request no ack"}

// dnp3Name is the name of a function code (table 4-2).
func dnp3Name(function uint8) string {
	switch {
	case int(function) < len(dnp3Names):
		return dnp3Names[function]
	case function == response:
		return "response"
	case function == unsolicited:
		return "unsolicited response"
	case function == authResp:
		return "authentication response"
	}
	return "function " + strconv.Itoa(int(function))
}
