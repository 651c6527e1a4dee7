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
	"github.com/rind-project/rind/internal/network/packet/neighbor"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/wifi"
	"github.com/rind-project/rind/internal/network/pipeline/reassembly"
)

// Config holds a pipeline's limits. Zero values stand for the defaults.
type Config struct {
	Interface   string        // name in the ledger
	Seed        uint16        // Community ID seed, stated in the report
	MaxFlows    int           // flows held at once (262,144)
	MaxRows     int           // rows of each kind in one report (65,536); later ones are counted and left out
	MaxText     int           // bytes of different texts in one report (16 MiB); likewise
	MaxFlowRows int           // rows of one flow in one report (1,000; at most 65,535); likewise
	MaxStreams  int           // TCP connections followed at once (8,192); the one that was silent longest makes way
	MaxHeld     int           // bytes of their segments held (16 MiB); likewise
	Timeouts    flow.Timeouts // idle times
	Fragments   flow.FragmentLimits
	Settings    Settings     // at the beginning
	Quarantine  *Quarantine  // takes the packets on which a parser panicked; nil keeps none
	Log         *slog.Logger // where a parser's panic is told, once
}

func (c Config) orDefaults() Config {
	set := func(v *int, def int) {
		if *v <= 0 {
			*v = def
		}
	}
	set(&c.MaxRows, 65536)
	set(&c.MaxText, 16<<20)
	set(&c.MaxFlowRows, 1000)
	c.MaxFlowRows = min(c.MaxFlowRows, 0xffff)
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
	out     *parse.Out
	streams *reassembly.Store

	parsers  []parser // the first is none
	tcp, udp recogniser
	tls      uint8 // of ErrTLS
	frames   frames
	settings atomic.Pointer[Settings] // to be applied at the next cut

	// What is in hand, for when a parser panics.
	rec    *flow.Record
	side   int
	conn   *reassembly.Conn
	cur    uint8
	link   packet.LinkType
	data   []byte
	wire   int
	before [2]uint64 // rows added, and left out, when the parser was called
	rows   uint32    // of a UDP flow
	rowsOf uint32    // which report those are of
	report uint32    // number of this report, from 1, in 15 bits

	glimpses     [flow.MaxExpect]packet.Glimpse
	at           flow.Near                 // of the frame in hand
	near         [flow.MaxExpect]flow.Near // by frame that is to come
	coming, came int

	ledger   network.Ledger
	counters Counters
	shown    atomic.Pointer[Counters]
	start    time.Time      // of this report; zero before the first packet
	latest   int64          // the latest packet's time
	inside   bool           // of Packet, which returns by a panic when it is still set
	flows    int            // in the last report
	spare    []network.Flow // memory for the flows of the next one
}

var _ capture.Handler = (*Pipeline)(nil)

// New makes a pipeline and reserves its tables.
func New(cfg Config) *Pipeline {
	tcp, udp := protocols()
	return newPipeline(cfg, tcp, udp)
}

// newPipeline makes one with other parsers, as tests do.
func newPipeline(cfg Config, tcp, udp []protocol) *Pipeline {
	cfg = cfg.orDefaults()
	p := &Pipeline{cfg: cfg, frags: flow.NewFragmentsWithin(cfg.Fragments), out: parse.NewOut(cfg.MaxRows, cfg.MaxText), report: 1}
	p.out.MaxFlow = uint32(cfg.MaxFlowRows)
	p.streams = reassembly.New(reassembly.Config{MaxConns: cfg.MaxStreams, MaxBytes: cfg.MaxHeld, Close: p.pushedOut})
	p.table = flow.New(flow.Config{MaxFlows: cfg.MaxFlows, Timeouts: cfg.Timeouts, Release: p.release})
	p.setParsers(tcp, udp)
	p.Configure(cfg.Settings)
	p.apply()
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
	p.inside = true
	defer p.rescue()
	p.packet(ts, link, data, wireLen)
	p.inside = false
}

// packet is Packet, which may panic.
func (p *Pipeline) packet(ts int64, link packet.LinkType, data []byte, wireLen int) {
	p.ledger.Received++
	p.ledger.Bytes += uint64(max(wireLen, len(data)))
	if ts > p.latest || p.start.IsZero() {
		p.latest = ts
		if p.start.IsZero() {
			p.start = time.Unix(0, ts).UTC()
		}
	}
	p.link, p.data, p.wire = link, data, wireLen
	p.at = p.nearby()
	if wifi.Link(link) && !p.parsers[p.frames.air].off {
		p.radioFrame(ts, link, data, wireLen)
		return
	}
	p.take(ts, p.decoder.Decode(link, data, wireLen, &p.pkt))
}

// take puts the packet in hand where its status says.
func (p *Pipeline) take(ts int64, status packet.Status) {
	p.pkt.Time = ts
	switch status {
	case packet.IP:
		if !p.count() {
			p.ledger.DroppedPipeline++
			return
		}
	case packet.Frame:
		p.counters.frame(p.pkt.EtherType)
		p.frame()
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
	r, side := p.table.AddNear(&p.pkt, p.at)
	if r == nil {
		return false
	}
	if r.Done && (p.pkt.TCPFlags&packet.SYN == 0 || p.pkt.Proto != uint8(network.TCP)) {
		return true
	}
	p.rec, p.side = r, side
	switch network.Proto(p.pkt.Proto) {
	case network.TCP:
		p.segment(r, side)
	case network.UDP:
		p.datagram(r, side)
	case network.ICMPv6:
		if !neighbor.IsND(uint8(p.pkt.SrcPort)) {
			r.Done = true
		} else if !p.pkt.Fragment {
			p.readFrame(p.frames.nd)
		}
	default:
		r.Done = true
	}
	p.rec = nil
	return true
}

// enter begins a call of a parser, whose rows count for the flow that has had
// so many in the report given; leave ends it.
func (p *Pipeline) enter(i uint8, rows, report *uint32) *parser {
	if *report != p.report {
		*rows, *report = 0, p.report
	}
	p.out.Flow, p.cur = rows, i
	p.before = [2]uint64{p.out.Rows, p.out.Over}
	return &p.parsers[i]
}

func (p *Pipeline) leave(a *parser) {
	a.counters.Transactions += p.out.Rows - p.before[0]
	a.counters.LeftOut += p.out.Over - p.before[1]
	p.out.Flow, p.cur = nil, unknown
}

// session says who talks to whom in the flow.
func (p *Pipeline) session(r *flow.Record, client int, at int64) {
	r.Session(&p.out.Session, client)
	p.out.Session.Time = time.Unix(0, at).UTC()
}

// rescue keeps the tap alive when a parser panics. The packet is taken out of
// its flow, whose payloads nobody looks into any more.
func (p *Pipeline) rescue() {
	if !p.inside {
		return // asking costs more
	}
	p.inside = false
	cause := recover()
	if cause == nil {
		return
	}
	i := p.cur
	p.panicked(cause)
	p.cfg.Quarantine.Keep(p.parsers[i].name, p.latest, p.link, p.data, p.wire)
	p.ledger.Malformed++
	p.counters.Panicked++
	if c := p.conn; c != nil {
		c.Stream, p.conn = nil, nil // it is not used again
		p.streams.Close(c)
	}
	if p.rec != nil {
		p.table.Undo(p.rec, p.side, &p.pkt)
		p.rec.Done = true
		p.rec = nil
	}
}

// panicked counts a parser's panic, and tells of the first.
func (p *Pipeline) panicked(cause any) {
	a := &p.parsers[p.cur]
	if a.counters.Panics == 0 {
		p.cfg.Log.Error("a parser panicked; one flow is not looked into any more",
			"interface", p.cfg.Interface, "parser", a.name, "cause", cause, "stack", string(debug.Stack()))
	}
	a.counters.Panics++
	p.leave(a)
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
	r.Flows, p.spare = p.spare, nil
	if cap(r.Flows) == 0 {
		r.Flows = make([]network.Flow, 0, p.room())
	}
	keep := func(f *network.Flow) { r.Flows = append(r.Flows, *f) }
	if last {
		p.table.Finish(keep)
	} else {
		p.table.Report(end, keep)
	}
	p.streams.Expire(end.UnixNano())
	p.sums(end, last)
	p.out.CutInto(&r)
	r.Interfaces = []network.Ledger{p.ledger}
	r.Health.Parsers = p.parserHealth()
	stats := p.table.Stats()
	r.Health.FlowsActive, r.Health.FlowsMax = stats.Active, stats.Max
	p.flows = len(r.Flows)
	p.ledger = network.Ledger{Interface: p.cfg.Interface}
	p.start = r.End
	p.report = p.report%maxReport + 1
	p.apply()
	p.publish()
	return r
}

// room is how many flows the next report makes room for: some more than the
// last had, or, in the first, than there are.
func (p *Pipeline) room() int {
	n := p.flows
	if n == 0 {
		n = int(p.table.Stats().Active)
	}
	return n + n/8
}

// Reuse takes back the lists of a report that nobody reads any more: the next
// ones are written into them, where otherwise each would be new memory, as
// large as the tables. It is called by the pipeline's goroutine.
func (p *Pipeline) Reuse(r *network.Report) {
	p.spare = parse.Again(p.spare, r.Flows)
	p.out.Reuse(r)
	r.Flows, r.DNS, r.TLS, r.HTTP = nil, nil, nil, nil
}

// sums has the parsers that keep rows until a report is closed put them into
// it. One that panics loses what it kept.
func (p *Pipeline) sums(end time.Time, last bool) {
	for i := range p.parsers {
		if c := p.parsers[i].sums; c != nil {
			p.sum(uint8(i), c, end, last)
		}
	}
}

func (p *Pipeline) sum(i uint8, c parse.Cutter, end time.Time, last bool) {
	defer func() {
		if cause := recover(); cause != nil {
			p.out.Shares()
			p.panicked(cause)
		}
	}()
	none := uint32(0)
	a := p.enter(i, &none, &none)
	p.out.Flow = nil // these are of many flows
	c.Cut(p.out, end, last)
	p.leave(a)
	for _, s := range p.out.Shares() {
		if o := p.named(s.Name); o != nil && o.name != a.name {
			o.counters.Transactions, a.counters.Transactions = o.counters.Transactions+s.Rows, a.counters.Transactions-s.Rows
			o.counters.LeftOut, a.counters.LeftOut = o.counters.LeftOut+s.Over, a.counters.LeftOut-s.Over
		}
	}
}

// named returns the parser of a name.
func (p *Pipeline) named(name string) *parser {
	for i := range p.parsers {
		if p.parsers[i].name == name {
			return &p.parsers[i]
		}
	}
	return nil
}
