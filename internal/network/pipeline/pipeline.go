// Package pipeline joins decoding, the flow table and the protocol parsers for
// one interface or file, and closes reports. A Pipeline belongs to one
// goroutine; there is one per interface (and later per worker), and they
// share nothing.
package pipeline

import (
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/dns"
	"github.com/rind-project/rind/internal/network/packet/tls"
)

// Config holds a pipeline's limits. Zero values stand for the defaults.
type Config struct {
	Interface string        // name in the ledger
	Seed      uint16        // Community ID seed, stated in the report
	MaxFlows  int           // flows held at once (262,144)
	MaxDNS    int           // DNS records in one report (65,536); later ones are counted and left out
	MaxTLS    int           // ClientHellos in one report (65,536); likewise
	MaxText   int           // bytes of different names in one report (16 MiB); likewise
	Timeouts  flow.Timeouts // idle times
	Log       *slog.Logger  // where a parser's panic is told, once
}

func (c Config) orDefaults() Config {
	if c.MaxDNS <= 0 {
		c.MaxDNS = 65536
	}
	if c.MaxTLS <= 0 {
		c.MaxTLS = 65536
	}
	if c.MaxText <= 0 {
		c.MaxText = 16 << 20
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Pipeline summarises the packets of one interface.
type Pipeline struct {
	cfg     Config
	decoder packet.Decoder
	pkt     packet.Packet
	frags   *flow.Fragments
	table   *flow.Table
	matcher *dns.Matcher
	message dns.Message
	hello   tls.Hello
	streams *streams

	// inspect looks into payloads; tests put a failing one in its place.
	inspect func(r *flow.Record, side int)
	rec     *flow.Record // of the packet in hand
	side    int

	ledger   network.Ledger
	counters Counters
	shown    atomic.Pointer[Counters]
	dns      []network.DNSQuery
	tls      []network.TLSHello
	texts    texts
	start    time.Time // of this report; zero before the first packet
	latest   int64     // the latest packet's time
	flows    int       // in the last report
}

var _ capture.Handler = (*Pipeline)(nil)

// New makes a pipeline and reserves its tables.
func New(cfg Config) *Pipeline {
	cfg = cfg.orDefaults()
	p := &Pipeline{cfg: cfg, frags: flow.NewFragments(), streams: newStreams(), texts: newTexts(cfg.MaxText)}
	p.table = flow.New(flow.Config{MaxFlows: cfg.MaxFlows, Timeouts: cfg.Timeouts, Release: p.streams.release})
	p.matcher = dns.NewMatcher(p.keepDNS)
	p.inspect = p.payload
	p.counters.EtherTypes = map[uint16]uint64{}
	p.ledger.Interface = cfg.Interface
	p.publish()
	return p
}

// Packet takes one captured frame. It never fails: whatever happens to the
// packet is a term of the ledger. IP packets go into a flow, other
// well-formed frames into the counter of their EtherType: both are
// Summarised. A new flow that has no place in a full table and a full report
// is DroppedPipeline. Everything else is Malformed, with its reason counted,
// also a packet on which a parser panicked, which then is in no flow.
func (p *Pipeline) Packet(ts int64, link packet.LinkType, data []byte, wireLen int) {
	defer p.rescue()
	p.ledger.Received++
	p.ledger.Bytes += uint64(max(wireLen, len(data)))
	if ts > p.latest || p.start.IsZero() {
		p.latest = ts
		if p.start.IsZero() {
			p.start = time.Unix(0, ts).UTC()
		}
	}
	status := p.decoder.Decode(link, data, wireLen, &p.pkt)
	p.pkt.Time = ts
	switch status {
	case packet.IP:
		if !p.count() {
			p.ledger.DroppedPipeline++
			return
		}
	case packet.Frame:
		p.counters.frame(p.pkt.EtherType)
	default:
		p.ledger.Malformed++
		p.counters.Malformed[status]++
		return
	}
	p.ledger.Summarised++
}

// count puts the packet in hand into its flow and looks into its payload. It
// reports false when there is no place for it.
func (p *Pipeline) count() bool {
	if p.pkt.Fragment {
		p.counters.Fragments++
		p.frags.Assign(&p.pkt)
	}
	r, side := p.table.Add(&p.pkt)
	if r == nil {
		return false
	}
	if !r.Done && len(p.pkt.Payload) > 0 {
		p.rec, p.side = r, side
		p.inspect(r, side)
		p.rec = nil
	}
	return true
}

// rescue keeps the tap alive when a parser panics. The packet is taken out of
// its flow, whose payloads nobody looks into any more.
func (p *Pipeline) rescue() {
	cause := recover()
	if cause == nil {
		return
	}
	if p.counters.Panics == 0 {
		p.cfg.Log.Error("a parser panicked; the packet is counted as malformed",
			"interface", p.cfg.Interface, "cause", cause, "stack", string(debug.Stack()))
	}
	p.counters.Panics++
	p.ledger.Malformed++
	if p.rec != nil {
		p.table.Undo(p.rec, p.side, &p.pkt)
		p.rec.Done = true
		p.rec = nil
	}
}

// ReceivedKernelDrops adds n packets that the kernel received and dropped
// before they reached the tap.
func (p *Pipeline) ReceivedKernelDrops(n uint64) {
	p.ledger.Received += n
	p.ledger.DroppedKernel += n
}

// Due reports whether a report should be cut before its time, because the
// space for flows that the full table pushed out is half used. A caller that
// does not look loses packets of new flows to DroppedPipeline, never memory.
func (p *Pipeline) Due() bool { return p.table.Due() }

// Latest is the time of the latest packet, or zero.
func (p *Pipeline) Latest() time.Time {
	if p.latest == 0 {
		return time.Time{}
	}
	return time.Unix(0, p.latest).UTC()
}

// Cut closes the report that began at the last cut (or at the first packet)
// and begins the next. The report has one Ledger; Identity, Health and Gap are
// the caller's to fill in. end is also the time by which idle flows expire;
// for a file it is packet time.
func (p *Pipeline) Cut(end time.Time) network.Report { return p.cut(end, false) }

// Finish is the last Cut: every flow has ended, every question without an
// answer is reported.
func (p *Pipeline) Finish(end time.Time) network.Report { return p.cut(end, true) }

func (p *Pipeline) cut(end time.Time, last bool) network.Report {
	r := network.Report{Start: p.start, End: end.UTC(), Seed: p.cfg.Seed}
	if r.Start.IsZero() || r.Start.After(r.End) {
		r.Start = r.End
	}
	keep := func(f *network.Flow) { r.Flows = append(r.Flows, *f) }
	if p.flows > 0 {
		r.Flows = make([]network.Flow, 0, p.flows+p.flows/8)
	}
	if last {
		p.matcher.Flush()
		p.table.Finish(keep)
	} else {
		p.matcher.Expire(end.UnixNano())
		p.table.Report(end, keep)
	}
	p.counters.StreamsStale += p.streams.expire(end.UnixNano())
	r.DNS, r.TLS, r.Interfaces = p.dns, p.tls, []network.Ledger{p.ledger}
	stats := p.table.Stats()
	r.Health.FlowsActive, r.Health.FlowsMax = stats.Active, stats.Max
	p.flows, p.dns, p.tls = len(r.Flows), nil, nil
	p.ledger = network.Ledger{Interface: p.cfg.Interface}
	p.texts.clear()
	p.start = r.End
	p.publish()
	return r
}
