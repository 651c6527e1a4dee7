package flow

import (
	"slices"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet"
)

const (
	defaultFlows = 262144
	minFlows     = 1024

	// When the table is full, the oldest evictBatch of evictWindow records in
	// a row go: near enough to the oldest of all, at a bounded cost.
	evictWindow = 1024
	evictBatch  = 64
)

// Stats are the table's counters since it was made.
type Stats struct {
	Active  uint64
	Max     uint64
	Evicted uint64 // pushed out by a full table; what they had counted is in the report
	Refused uint64 // packets of new flows that had no place
	Prints  uint64 // SYNs whose fingerprint was one too many for a report
}

// Table is a flow table of bounded size, for one goroutine.
type Table struct {
	cfg    Config
	hash   hasher
	slots  []uint64 // upper half of the hash, and index+1; 0 is empty
	shift  uint
	slab   []Record
	high   int      // records below it have been used
	free   []uint32 // indexes below high that are free, the last first
	spill  []Record
	stuck  bool // no room in the spill: refuse until the next report
	hand   int
	ages   []int64
	stats  Stats
	active int
	prints prints
}

// New makes a table and reserves all of its memory.
func New(cfg Config) *Table {
	if cfg.MaxFlows <= 0 {
		cfg.MaxFlows = defaultFlows
	}
	cfg.MaxFlows = max(cfg.MaxFlows, minFlows)
	if cfg.MaxSpill <= 0 {
		cfg.MaxSpill = cfg.MaxFlows / 4
	}
	cfg.Timeouts = cfg.Timeouts.orDefaults()
	n, shift := 1, uint(32)
	for n < 2*cfg.MaxFlows {
		n, shift = n*2, shift-1
	}
	t := &Table{
		cfg: cfg, hash: newHasher(), shift: shift,
		free: make([]uint32, 0, cfg.MaxFlows), ages: make([]int64, 0, evictWindow), prints: newPrints(),
	}
	t.slots, t.slab = reserve[uint64](t, n), reserve[Record](t, cfg.MaxFlows)
	return t
}

// Stats returns the counters.
func (t *Table) Stats() Stats {
	s := t.stats
	s.Prints = t.prints.over
	s.Active, s.Max = uint64(t.active), uint64(t.cfg.MaxFlows)
	return s
}

// Due reports whether the room for flows that the full table pushed out is
// half used, so that a report should be made soon.
func (t *Table) Due() bool { return len(t.spill) >= t.cfg.MaxSpill/2 }

// Add counts the packet into its flow, and returns the flow's record and the
// side that sent the packet. The record stays valid until the next call. It
// is nil when the table is full and the report has no room for what would
// have to make way: then the packet is in no flow.
func (t *Table) Add(p *packet.Packet) (r *Record, side int) { return t.AddNear(p, 0) }

// AddNear is Add for a packet that was expected.
func (t *Table) AddNear(p *packet.Packet, near Near) (r *Record, side int) {
	var k key
	side = k.of(p)
	if near != 0 {
		if r := &t.slab[near-1]; r.bits&used != 0 && r.key.equal(&k) && !reopened(r, p) {
			t.count(r, p, side)
			return r, side
		}
	}
	tag := t.hash.sum(&k) >> 32
	mask := uint64(len(t.slots) - 1)
	i := tag >> t.shift
	for ; t.slots[i] != 0; i = (i + 1) & mask {
		if s := t.slots[i]; s>>32 == tag {
			if r = &t.slab[uint32(s)-1]; r.key.equal(&k) {
				if reopened(r, p) && t.spillOut(r) {
					t.release(r)
					r.open(&k, p, side)
				}
				t.count(r, p, side)
				return r, side
			}
		}
	}
	if len(t.free) == 0 && t.high == len(t.slab) {
		if !t.evict() {
			t.stats.Refused++
			return nil, side
		}
		// Evicting moves slots, so that the empty one has to be found again.
		for i = tag >> t.shift; t.slots[i] != 0; i = (i + 1) & mask {
		}
	}
	n := t.take()
	t.slots[i] = tag<<32 | uint64(n+1)
	r = &t.slab[n]
	r.open(&k, p, side)
	t.active++
	t.count(r, p, side)
	return r, side
}

// count adds the packet to the record, and the fingerprint of a first SYN.
func (t *Table) count(r *Record, p *packet.Packet, side int) {
	r.count(p, side)
	if p.TCPFlags&(packet.SYN|packet.ACK) == packet.SYN && p.Whole && r.print == 0 && p.Proto == uint8(network.TCP) {
		r.print = t.prints.number(p)
	}
}

// take returns the index of a free record.
func (t *Table) take() uint32 {
	if n := len(t.free); n > 0 {
		i := t.free[n-1]
		t.free = t.free[:n-1]
		return i
	}
	t.high++
	return uint32(t.high - 1)
}

// Undo takes back the packet just counted by Add.
func (t *Table) Undo(r *Record, side int, p *packet.Packet) {
	r.pkts[side]--
	r.bytes[side] -= uint64(p.WireLen)
}

func (t *Table) release(r *Record) {
	if r.Handle != 0 && t.cfg.Release != nil {
		t.cfg.Release(r.Handle)
		r.Handle = 0
	}
}

// spillOut keeps what a record has counted for the report.
func (t *Table) spillOut(r *Record) bool {
	if r.pkts[0]|r.pkts[1] == 0 {
		return true
	}
	if len(t.spill) >= t.cfg.MaxSpill {
		return false
	}
	t.spill = append(t.spill, *r)
	return true
}

// evict makes room by pushing the oldest of a window of records out.
func (t *Table) evict() bool {
	if t.stuck {
		return false
	}
	n := len(t.slab)
	t.ages = t.ages[:0]
	for i := range min(evictWindow, n) {
		t.ages = append(t.ages, t.slab[(t.hand+i)%n].last)
	}
	slices.Sort(t.ages)
	limit, gone := t.ages[min(evictBatch, len(t.ages)-1)], 0
	for i := 0; i < min(evictWindow, n) && gone < evictBatch; i++ {
		at := (t.hand + i) % n
		if r := &t.slab[at]; r.last <= limit && t.spillOut(r) {
			t.remove(at)
			gone++
		}
	}
	t.hand = (t.hand + evictWindow) % n
	t.stats.Evicted += uint64(gone)
	t.stuck = gone == 0
	return gone > 0
}

// remove frees a record and closes the gap in its run of slots.
func (t *Table) remove(at int) {
	r := &t.slab[at]
	t.release(r)
	mask := uint64(len(t.slots) - 1)
	i := t.hash.sum(&r.key) >> 32 >> t.shift
	for uint32(t.slots[i]) != uint32(at+1) {
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; t.slots[j] != 0; j = (j + 1) & mask {
		home := t.slots[j] >> 32 >> t.shift
		if (j-home)&mask >= (j-i)&mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = 0
	r.bits, r.pkts = 0, [2]uint64{}
	t.free = append(t.free, uint32(at))
	t.active--
}
