package report

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rind-project/rind/internal/network"
)

// Decoder decodes reports. It may be used by several goroutines at once.
type Decoder struct {
	limits  Limits
	zstd    *zstd.Decoder
	streams streams       // for Read
	buffers sync.Pool     // of *[]byte, likewise
	unread  atomic.Uint64 // rows of kinds that are not known here

	flowRoom sync.Pool // of *[]network.Flow, that Recycle was given
}

// NewDecoder makes a decoder. Close frees what it holds.
func NewDecoder(limits Limits) (*Decoder, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(uint64(limits.Decoded)), zstd.WithDecoderMaxWindow(uint64(max(limits.Decoded, 1<<20))))
	if err != nil {
		return nil, fmt.Errorf("making a zstd decoder: %w", err)
	}
	return &Decoder{limits: limits, zstd: z}, nil
}

// Close frees the decoder's memory.
func (d *Decoder) Close() { d.zstd.Close() }

// Decode reads the wire form; see the function Decode.
func (d *Decoder) Decode(b []byte) (*network.Report, error) {
	if len(b) > d.limits.Compressed {
		return nil, tooLarge("%d bytes, at most %d are taken", len(b), d.limits.Compressed)
	}
	if err := checkHeader(b); err != nil {
		return nil, err
	}
	if len(b) == header {
		return nil, invalid("it is cut off after its header")
	}
	buffer, release := d.buffer()
	defer release()
	body, err := d.zstd.DecodeAll(b[header:], (*buffer)[:0])
	if err != nil {
		return nil, d.damaged(err)
	}
	*buffer = body[:0]
	p, err := d.parse(body, nil)
	if err != nil {
		return nil, err
	}
	return p.out, nil
}

func checkHeader(b []byte) error {
	if len(b) < header || string(b[:len(magic)]) != magic {
		return invalid("this is no report: it does not start with %q", magic)
	}
	if v := b[header-1]; v != version {
		return invalid("its format has version %d, this node reads version %d: update the older of the two", v, version)
	}
	return nil
}

// damaged says why the bytes behind the header cannot be expanded.
func (d *Decoder) damaged(err error) error {
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return d.expands()
	}
	return invalid("its zstd frame is damaged or cut off: %w", err)
}

func (d *Decoder) expands() error {
	return tooLarge("it expands to more than %d bytes", d.limits.Decoded)
}

// parse reads the message. Nothing in what it returns points into it.
func (d *Decoder) parse(message []byte, grow Grow) (*parser, error) {
	// A time that is absent is the one whose number is 0.
	p := &parser{limits: d.limits, flowRoom: &d.flowRoom, budget: budget{limit: d.limits.memory(), grow: grow}, out: &network.Report{Start: micros(0)}}
	if err := p.message(message); err != nil {
		return nil, err
	}
	d.unread.Add(p.skipped)
	return p, nil
}

// Skipped is how many rows were passed over so far because their kind is not
// known here: the tap that sent them is newer.
func (d *Decoder) Skipped() uint64 { return d.unread.Load() }

// parser reads one report's message.
type parser struct {
	budget
	limits   Limits
	out      *network.Report
	flowRoom *sync.Pool

	duration                  int64
	v4, v6, macs, lens, blob  []byte
	names                     []string
	flowRows, dnsRows, tlsRow []byte
	kinds                     [][]byte
	kindSizes                 map[string]int
	skipped                   uint64 // rows of kinds that are not known
}

// message reads the fields of the report, and then the rows, which need the
// dictionaries.
func (p *parser) message(b []byte) error {
	if err := fields(b, p.field); err != nil {
		return err
	}
	p.out.End = micros(p.out.Start.UnixMicro() + p.duration)
	if len(p.v4)%4 != 0 || len(p.v6)%16 != 0 || len(p.macs)%6 != 0 {
		return invalid("a dictionary of addresses has an odd length")
	}
	if err := p.dictionary(); err != nil {
		return err
	}
	if err := p.flows(p.flowRows); err != nil {
		return err
	}
	if err := p.dns(p.dnsRows); err != nil {
		return err
	}
	if err := p.tls(p.tlsRow); err != nil {
		return err
	}
	return p.records()
}

func (p *parser) field(n protowire.Number, v uint64, b []byte) (err error) {
	r := p.out
	switch n {
	case fieldTap:
		var s string
		s, err = p.text(b)
		r.Tap = network.TapID(s)
	case fieldBoot:
		r.Boot, err = p.text(b)
	case fieldSequence:
		r.Sequence = v
	case fieldStart:
		r.Start = micros(protowire.DecodeZigZag(v))
	case fieldEnd:
		p.duration = protowire.DecodeZigZag(v)
	case fieldSeed:
		if v > math.MaxUint16 {
			return invalid("the Community ID seed is out of range")
		}
		r.Seed = uint16(v)
	case fieldHealth:
		err = fields(b, p.health)
	case fieldLedger:
		err = p.ledger(b)
	case fieldGap:
		r.Gap = &network.Gap{From: micros(0), To: micros(0)}
		err = fields(b, p.gap)
	case fieldIPv4:
		p.v4 = b
	case fieldIPv6:
		p.v6 = b
	case fieldNameLengths:
		p.lens = b
	case fieldNames:
		p.blob = b
	case fieldMACs:
		p.macs = b
	case fieldFlows:
		p.flowRows = b
	case fieldDNS:
		p.dnsRows = b
	case fieldTLS:
		p.tlsRow = b
	case fieldKind:
		if len(p.kinds) >= maxKinds {
			return tooLarge("more than %d kinds of records", maxKinds)
		}
		p.kinds = append(p.kinds, b)
	}
	return err
}

func (p *parser) health(n protowire.Number, v uint64, b []byte) (err error) {
	h := &p.out.Health
	switch n {
	case 1:
		h.Version, err = p.text(b)
	case 2:
		h.CPUSeconds = math.Float64frombits(v)
		if !(h.CPUSeconds >= 0 && h.CPUSeconds < 1e12) {
			return invalid("the CPU time is out of range")
		}
	case 3, 4, 5, 6, 7, 8, 9:
		*[...]*uint64{&h.MemoryBytes, &h.FlowsActive, &h.FlowsMax, &h.SpoolReports, &h.SpoolBytes, &h.SpoolDropped, &h.RingBytes}[n-3] = v
	case fieldHealthParsers:
		return p.parserHealth(b)
	case fieldRingUsed, fieldRingFull, fieldSpoolAge, fieldClockSkew:
		return state(h, n, v)
	}
	return err
}

func (p *parser) ledger(b []byte) error {
	if len(p.out.Interfaces) >= MaxInterfaces {
		return tooLarge("more than %d interfaces", MaxInterfaces)
	}
	var l network.Ledger
	err := fields(b, func(n protowire.Number, v uint64, b []byte) (err error) {
		switch n {
		case 1:
			l.Interface, err = p.text(b)
		case 2, 3, 4, 5, 6, 7, 8, 9:
			*[...]*uint64{&l.Received, &l.Summarised, &l.DroppedKernel, &l.DroppedPipeline, &l.Malformed, &l.HeldFragments, &l.ReleasedFragments, &l.Bytes}[n-2] = v
		}
		return err
	})
	p.out.Interfaces = append(p.out.Interfaces, l)
	return err
}

func (p *parser) gap(n protowire.Number, v uint64, b []byte) (err error) {
	g := p.out.Gap
	switch n {
	case 1:
		g.Boot, err = p.text(b)
	case 2:
		g.Sequence = v
	case 3:
		g.From = micros(protowire.DecodeZigZag(v))
	case 4:
		g.To = micros(protowire.DecodeZigZag(v))
	}
	return err
}

// dictionary cuts the names out of the blob.
func (p *parser) dictionary() error {
	if limit := namesPerRow * p.limits.Rows; len(p.lens) > 2*limit {
		return tooLarge("more than %d names", limit)
	}
	n := 0
	for _, b := range p.lens {
		if b < 0x80 {
			n++
		}
	}
	if !p.take(len(p.blob) + (n+1)*int(unsafe.Sizeof(""))) {
		return p.err
	}
	blob := string(p.blob)
	p.names = make([]string, 1, n+1)
	for c := (cursor{b: p.lens, present: true}); c.left(); {
		size := c.next(uint64(p.limits.String))
		if c.bad || size > uint64(len(blob)) {
			return invalid("a name is longer than %d bytes, or than the names that there are", p.limits.String)
		}
		if err := checkText(blob[:size]); err != nil {
			return err
		}
		p.names = append(p.names, blob[:size])
		blob = blob[size:]
	}
	return nil
}

func (p *parser) text(b []byte) (string, error) {
	if len(b) > p.limits.String {
		return "", tooLarge("a string of %d bytes, at most %d are taken", len(b), p.limits.String)
	}
	s := string(b)
	return s, checkText(s)
}

func checkText(s string) error {
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return invalid("a string holds a NUL or is not UTF-8")
	}
	return nil
}

// fields calls visit with each field of a message: v for numbers, b for the
// rest.
func fields(m []byte, visit func(n protowire.Number, v uint64, b []byte) error) error {
	for len(m) > 0 {
		n, kind, size := protowire.ConsumeTag(m)
		if size < 0 {
			return invalid("a field is cut off")
		}
		m = m[size:]
		var v uint64
		var b []byte
		switch kind {
		case protowire.VarintType:
			v, size = protowire.ConsumeVarint(m)
		case protowire.Fixed64Type:
			v, size = protowire.ConsumeFixed64(m)
		case protowire.BytesType:
			b, size = protowire.ConsumeBytes(m)
		default:
			size = protowire.ConsumeFieldValue(n, kind, m)
		}
		if size < 0 {
			return invalid("field %d is cut off", n)
		}
		m = m[size:]
		if err := visit(n, v, b); err != nil {
			return err
		}
	}
	return nil
}

func micros(us int64) time.Time { return time.UnixMicro(us).UTC() }
