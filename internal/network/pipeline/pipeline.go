// Package pipeline joins decoding, the flow table and the protocol parsers for
// one interface or file, and closes reports. A Pipeline belongs to one
// goroutine; there is one per interface (and later per worker), and they
// share nothing.
package pipeline

import (
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/packet"
)

// Config holds a pipeline's limits. Zero values stand for the defaults.
type Config struct {
	Interface string        // name in the ledger
	Seed      uint16        // Community ID seed, stated in the report
	MaxFlows  int           // flows held at once (262,144)
	MaxDNS    int           // DNS records in one report (65,536)
	MaxTLS    int           // ClientHellos in one report (65,536)
	Timeouts  flow.Timeouts // idle times
}

// Pipeline summarises the packets of one interface.
type Pipeline struct {
	cfg Config
}

var _ capture.Handler = (*Pipeline)(nil)

// New makes a pipeline and its tables.
func New(cfg Config) *Pipeline { return &Pipeline{cfg: cfg} }

// Packet takes one captured frame. It never fails: whatever happens to the
// packet is a term of the ledger.
func (p *Pipeline) Packet(ts int64, link packet.LinkType, data []byte, wireLen int) {}

// ReceivedKernelDrops adds n packets that the kernel received and dropped
// before they reached the tap.
func (p *Pipeline) ReceivedKernelDrops(n uint64) {}

// Due reports whether a report should be cut before its time, because the
// space for flows that the full table pushed out is half used. A caller that
// does not look loses packets of new flows to DroppedPipeline, never memory.
func (p *Pipeline) Due() bool { return false }

// Cut closes the report that began at the last cut (or at the first packet)
// and begins the next. The report has one Ledger; Identity, Health and Gap are
// the caller's to fill in. end is also the time by which idle flows expire;
// for a file it is packet time.
func (p *Pipeline) Cut(end time.Time) network.Report { return network.Report{} }

// Finish is the last Cut: every flow has ended, every question without an
// answer is reported.
func (p *Pipeline) Finish(end time.Time) network.Report { return network.Report{} }
