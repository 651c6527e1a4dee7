package tap

import (
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/pipeline"
	"github.com/rind-project/rind/internal/network/uplink"
)

// Status is how a tap is at the moment. Counters count since it started; those
// of packets, flows and parsers are as of the last report.
type Status struct {
	Tap        network.TapID          `json:"tap"`
	Boot       string                 `json:"boot"`
	Version    string                 `json:"version"`
	Began      time.Time              `json:"began"`
	Reports    uint64                 `json:"reports"`
	Interval   time.Duration          `json:"report_interval"`
	CPUSeconds float64                `json:"cpu_seconds"`
	Memory     uint64                 `json:"memory_bytes"`
	Interfaces []InterfaceStatus      `json:"interfaces"`
	Spool      SpoolStatus            `json:"spool"`
	Parsers    []network.ParserHealth `json:"parsers"`
	Quarantine QuarantineStatus       `json:"quarantine"`
	Bluetooth  string                 `json:"bluetooth,omitempty"` // why nothing is seen
	Delivery   *DeliveryStatus        `json:"delivery,omitempty"`  // none without a node
}

// InterfaceStatus is how an interface is, all its workers together.
type InterfaceStatus struct {
	network.Ledger         // since the interface was first captured
	Up             bool    `json:"up"`
	Error          string  `json:"error,omitempty"`
	Filter         string  `json:"filter,omitempty"`
	Workers        int     `json:"workers"`
	RingBytes      uint64  `json:"ring_bytes"`
	RingUsed       uint64  `json:"ring_used_bytes"` // filled, and not read yet
	RingPeak       uint64  `json:"ring_peak_bytes"` // the most that was seen filled since the interface was opened
	RingFull       uint64  `json:"ring_full"`       // times that the kernel found no room
	Joined         uint64  `json:"joined_frames"`
	FlowsActive    uint64  `json:"flows_active"`
	FlowsMax       uint64  `json:"flows_max"`
	FlowsEvicted   uint64  `json:"flows_evicted"` // reported before their time, for want of room
	Busy           float64 `json:"busy"`          // share of the time that its busiest worker worked, since it was opened

	Fragments FragmentStatus `json:"fragments"`
}

// FragmentStatus is what became of IP fragments since the interface was opened.
// Each is in its flow and in the ledger, whatever became of its datagram.
type FragmentStatus struct {
	Seen      uint64 `json:"seen"`
	Whole     uint64 `json:"whole"`      // datagrams that were put together
	Overlaps  uint64 `json:"overlaps"`   // datagrams whose parts overlap or contradict one another
	GivenUp   uint64 `json:"given_up"`   // datagrams whose parts did not all come in time, or that had to make room
	Skipped   uint64 `json:"skipped"`    // fragments that were not kept: cut by the capture, or of a refused datagram
	HeldBytes uint64 `json:"held_bytes"` // that wait now
}

// add adds what one worker counted.
func (s *FragmentStatus) add(c *pipeline.Counters) {
	s.Seen += c.Fragments
	s.Whole += c.Datagrams.Whole
	s.Overlaps += c.Datagrams.Overlaps
	s.GivenUp += c.Datagrams.GivenUp
	s.Skipped += c.Datagrams.Skipped
	s.HeldBytes += c.Datagrams.Bytes
}

// SpoolStatus is what waits for a node.
type SpoolStatus struct {
	Reports     uint64        `json:"reports"`
	Bytes       uint64        `json:"bytes"`
	MaxBytes    uint64        `json:"max_bytes"`
	Age         time.Duration `json:"age"` // of the oldest
	MaxAge      time.Duration `json:"max_age"`
	Dropped     uint64        `json:"dropped"` // pushed out by the bounds, ever
	Quarantined uint64        `json:"quarantined"`
	Lost        uint64        `json:"lost"` // never spooled, because the disk failed
}

// QuarantineStatus counts packets on which a parser failed.
type QuarantineStatus struct {
	Kept    uint64 `json:"kept"`    // in quarantine.dir
	Refused uint64 `json:"refused"` // for which there was no room there
}

// DeliveryStatus is how delivery goes.
type DeliveryStatus struct {
	uplink.Status
	Nodes []string `json:"nodes"`
}

// Status returns how the tap is.
func (t *Tap) Status() Status {
	cfg := t.config()
	s := Status{
		Tap: t.id, Boot: t.boot, Version: t.deps.Version, Began: t.began, Interval: cfg.Report.Interval,
		CPUSeconds: cpuSeconds(), Memory: residentBytes(),
	}
	for _, st := range t.captured() {
		s.Interfaces = append(s.Interfaces, t.interfaceStatus(st))
	}
	t.mu.Lock()
	s.Parsers = t.parsers
	t.mu.Unlock()
	s.Quarantine.Kept, s.Quarantine.Refused = t.quarantine.Counts()
	if err := t.watcher().Problem(); err != nil {
		s.Bluetooth = err.Error()
	}
	sp := t.spool.Stats()
	s.Reports, s.Spool = t.writer.counts()
	s.Spool.Reports, s.Spool.Bytes, s.Spool.Dropped, s.Spool.Quarantined = sp.Reports, sp.Bytes, sp.DroppedEver, sp.Quarantined
	s.Spool.MaxBytes, s.Spool.MaxAge = uint64(cfg.Spool.MaxBytes), cfg.Spool.MaxAge
	if !sp.Oldest.IsZero() {
		s.Spool.Age = max(time.Since(sp.Oldest), 0)
	}
	if d := t.delivery(); d != nil {
		s.Delivery = &DeliveryStatus{d.Status(), cfg.Node.URLs}
	}
	return s
}

// interfaceStatus is what is known of one station.
func (t *Tap) interfaceStatus(st *station) InterfaceStatus {
	t.mu.Lock()
	i := t.seen[st.name]
	t.mu.Unlock()
	i.Interface, i.Filter, i.Workers = st.name, st.settings.Filter, len(st.workers)
	i.Up = true
	if err := st.trouble(); err != nil {
		i.Up, i.Error = false, err.Error()
	}
	i.RingBytes = st.ringBytes()
	for _, w := range st.workers {
		i.RingUsed += w.use.used.Load()
		i.RingPeak += w.use.peak.Load()
		i.RingFull += w.use.full.Load()
		i.Joined += w.joined.Load()
		c := w.pipe.Counters()
		i.FlowsEvicted += c.Flows.Evicted
		i.Fragments.add(&c)
		i.Busy = max(i.Busy, w.use.busy())
	}
	return i
}

// note adds what a report says of each interface to what is known of it.
func (t *Tap) note(parts []network.Report) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range parts {
		for _, l := range parts[i].Interfaces {
			was := t.seen[l.Interface]
			add(&was.Ledger, l)
			was.FlowsActive, was.FlowsMax = parts[i].Health.FlowsActive, parts[i].Health.FlowsMax
			t.seen[l.Interface] = was
		}
	}
}
