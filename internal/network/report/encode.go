package report

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/record"
)

// Encoder encodes reports one after the other and keeps its buffers. It may be
// used by several goroutines, one at a time.
type Encoder struct {
	mu      sync.Mutex
	zstd    *zstd.Encoder
	addrs   addrDict
	names   nameDict
	macs    macDict
	columns [max(flowColumns, dnsColumns, tlsColumns)][]byte
	ends    []uint32 // numbers of the rows' addresses, in the order of the rows
	rows    []byte   // the messages of columns
	kind    []byte   // the message of one kind of records
	body    []byte
	spare   []byte // of a report that is not needed any more
}

// window is how far back the compression looks. Columns are alike in what is
// near; the default of 4 MiB costs memory twice over and saves no byte.
const window = 512 << 10

// roomForHead is what the head of a report takes, or more.
const roomForHead = 4 << 10

// NewEncoder makes an encoder.
func NewEncoder() (*Encoder, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true), zstd.WithWindowSize(window))
	if err != nil {
		return nil, fmt.Errorf("making a zstd encoder: %w", err)
	}
	return &Encoder{
		zstd:  z,
		addrs: newAddrDict(),
		names: nameDict{index: make(map[string]uint32), max: DefaultLimits().String},
		macs:  macDict{index: make(map[[6]byte]uint32)},
	}, nil
}

// Encode writes the wire form of a report; see the function Encode.
func (e *Encoder) Encode(r *network.Report) ([]byte, error) {
	if n, limit := max(len(r.Flows), len(r.DNS), len(r.TLS), record.Count(&r.Records)), DefaultLimits().Rows; n > limit {
		return nil, errs.New(errs.TooLarge, "encoding a report: %d rows of one kind, at most %d fit", n, limit)
	}
	if len(r.Interfaces) > MaxInterfaces {
		return nil, errs.New(errs.TooLarge, "encoding a report: %d interfaces, at most %d fit", len(r.Interfaces), MaxInterfaces)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.addrs.reset()
	e.names.reset()
	e.macs.reset()

	e.number(r)
	e.rows = e.rows[:0]
	dns := 2 * len(r.Flows)
	tls := dns + 2*len(r.DNS)
	e.flows(r.Flows, e.ends[:dns])
	e.dns(r.DNS, e.ends[dns:tls])
	records := tls + 2*len(r.TLS)
	e.tls(r.TLS, e.ends[tls:records])
	e.records(&r.Records, e.ends[records:])
	if limit := 4 * DefaultLimits().Rows; int(e.names.n) > limit {
		return nil, errs.New(errs.TooLarge, "encoding a report: %d names, at most %d fit", e.names.n, limit)
	}

	size := len(e.addrs.v4) + len(e.addrs.v6) + len(e.names.lengths) + len(e.names.blob) + len(e.macs.blob) + len(e.rows)
	b := e.head(slices.Grow(e.body[:0], size+roomForHead), r)
	b = appendBytes(b, fieldIPv4, e.addrs.v4)
	b = appendBytes(b, fieldIPv6, e.addrs.v6)
	b = appendBytes(b, fieldNameLengths, e.names.lengths)
	b = appendBytes(b, fieldNames, e.names.blob)
	b = appendBytes(b, fieldMACs, e.macs.blob)
	e.body = append(b, e.rows...)

	if n, limit := len(e.names.index), namesPerRow*DefaultLimits().Rows; n > limit {
		return nil, errs.New(errs.TooLarge, "encoding a report: %d different names, at most %d fit", n, limit)
	}
	if limit := DefaultLimits().Decoded; len(e.body) > limit {
		return nil, errs.New(errs.TooLarge, "encoding a report: %d bytes, at most %d fit", len(e.body), limit)
	}
	out := e.spare
	if e.spare = nil; cap(out) < header {
		out = make([]byte, 0, header+len(e.body)/2+64)
	}
	out = out[:header]
	copy(out, magic)
	out[header-1] = version
	return e.zstd.EncodeAll(e.body, out), nil
}

// Reuse takes back what Encode has returned, once nobody reads it any more: a
// later report is written into its memory.
func (e *Encoder) Reuse(report []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.spare = report[:0]
}

// number fills the address dictionary, so that the indices of IPv6 addresses,
// which come after all IPv4 ones, are known when the columns are written.
func (e *Encoder) number(r *network.Report) {
	e.ends = slices.Grow(e.ends[:0], 2*(len(r.Flows)+len(r.DNS)+len(r.TLS)))
	for i := range r.Flows {
		e.ends = append(e.ends, e.addrs.add(r.Flows[i].Source), e.addrs.add(r.Flows[i].Dest))
	}
	for i := range r.DNS {
		e.ends = append(e.ends, e.addrs.add(r.DNS[i].Client), e.addrs.add(r.DNS[i].Server))
	}
	for i := range r.TLS {
		e.ends = append(e.ends, e.addrs.add(r.TLS[i].Client), e.addrs.add(r.TLS[i].Server))
	}
	e.recordAddrs(&r.Records)
	after := uint32(len(e.addrs.v4) / 4)
	for i, n := range e.ends {
		if n&sixth != 0 {
			e.ends[i] = n&^sixth + after
		}
	}
}

func (e *Encoder) head(b []byte, r *network.Report) []byte {
	b = appendString(b, fieldTap, clean(string(r.Tap), e.names.max))
	b = appendString(b, fieldBoot, clean(r.Boot, e.names.max))
	b = appendUint(b, fieldSequence, r.Sequence)
	b = appendUint(b, fieldStart, zigzag(r.Start))
	b = appendUint(b, fieldEnd, protowire.EncodeZigZag(r.End.UnixMicro()-r.Start.UnixMicro()))
	b = appendUint(b, fieldSeed, uint64(r.Seed))
	b = appendBytes(b, fieldHealth, e.health(&r.Health))
	for i := range r.Interfaces {
		b = protowire.AppendTag(b, fieldLedger, protowire.BytesType)
		b = protowire.AppendBytes(b, e.ledger(&r.Interfaces[i]))
	}
	if g := r.Gap; g != nil {
		m := appendString(nil, 1, clean(g.Boot, e.names.max))
		m = appendUint(m, 2, g.Sequence)
		m = appendUint(m, 3, zigzag(g.From))
		m = appendUint(m, 4, zigzag(g.To))
		b = protowire.AppendTag(b, fieldGap, protowire.BytesType)
		b = protowire.AppendBytes(b, m)
	}
	return b
}

func (e *Encoder) health(h *network.Health) []byte {
	m := appendString(nil, 1, clean(h.Version, e.names.max))
	if h.CPUSeconds != 0 {
		m = protowire.AppendTag(m, 2, protowire.Fixed64Type)
		m = protowire.AppendFixed64(m, math.Float64bits(h.CPUSeconds))
	}
	for i, v := range [...]uint64{h.MemoryBytes, h.FlowsActive, h.FlowsMax, h.SpoolReports, h.SpoolBytes, h.SpoolDropped, h.RingBytes} {
		m = appendUint(m, protowire.Number(i+3), v)
	}
	return appendState(e.appendParsers(m, h.Parsers), h)
}

func (e *Encoder) ledger(l *network.Ledger) []byte {
	m := appendString(nil, 1, clean(l.Interface, e.names.max))
	for i, v := range [...]uint64{l.Received, l.Summarised, l.DroppedKernel, l.DroppedPipeline, l.Malformed, l.HeldFragments, l.ReleasedFragments, l.Bytes} {
		m = appendUint(m, protowire.Number(i+2), v)
	}
	return m
}

func zigzag(t time.Time) uint64 { return protowire.EncodeZigZag(t.UnixMicro()) }

func appendUint(b []byte, n protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v)
}

func appendString(b []byte, n protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), s)
}

func appendBytes(b []byte, n protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v)
}
