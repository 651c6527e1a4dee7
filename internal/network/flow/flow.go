// Package flow keeps the flow table: who talked to whom, how much, and how the
// conversation stands.
//
// The table is one preallocated slab of fixed records without pointers and
// one array of slots (hash and index) with linear probing, so that a packet
// costs two cache misses and the garbage collector sees nothing. Its hash is
// seeded by each process, so that nobody can aim at one slot.
package flow

import (
	"time"

	"github.com/rind-project/rind/internal/network/packet"
)

// Timeouts are how long a flow may be silent before it has ended, and how long
// it may last. Zero values stand for the defaults. They are applied when a
// report is made.
type Timeouts struct {
	TCP    time.Duration // established connections (5 min)
	Closed time.Duration // TCP after both FINs or a RST (5 s)
	UDP    time.Duration // (60 s)
	Other  time.Duration // everything else, also TCP without a completed handshake (30 s)
	// Active ends a flow that goes on and on (30 min): what comes later is the
	// next flow of the same endpoints, of which is known what was known.
	Active time.Duration
}

// DefaultTimeouts returns the defaults.
func DefaultTimeouts() Timeouts {
	return Timeouts{TCP: 5 * time.Minute, Closed: 5 * time.Second, UDP: time.Minute, Other: 30 * time.Second, Active: 30 * time.Minute}
}

func (t Timeouts) orDefaults() Timeouts {
	def := DefaultTimeouts()
	set := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	set(&t.TCP, def.TCP)
	set(&t.Closed, def.Closed)
	set(&t.UDP, def.UDP)
	set(&t.Other, def.Other)
	set(&t.Active, def.Active)
	return t
}

// Config holds the table's limits. Zero values stand for the defaults.
type Config struct {
	MaxFlows int // flows at once (262,144); at least 1024
	MaxSpill int // flows pushed out of a full table in one report (a quarter of MaxFlows)
	Timeouts Timeouts
	// Release is told the Handle of a record that leaves the table, when it is
	// not zero.
	Release func(handle uint32)
}

// Record is a flow in the table. What is exported belongs to whoever parses
// payloads; the table only keeps it, and clears it for a new flow.
//
// It has three cache lines: the key and the times, what each packet changes,
// and what a few packets of a flow touch.
type Record struct {
	key         key
	last, first int64 // of this report, nanoseconds

	pkts, bytes [2]uint64 // of this report, by side
	next        [2]uint32 // sequence number behind the highest that was seen
	retrans     [2]uint32 // of this report
	flags       [2]uint8
	state       uint8
	App         uint8  // what the payload looked like; 0 is not known
	Handle      uint32 // the parser's state; 0 is none
	bits        uint16
	Parser      uint8 // which parser wants the payload
	Probes      uint8 // payloads looked at so far
	Done        bool  // no parser wants more
	ttl         [2]uint8

	opened int64 // nanoseconds
	mac    [2][6]byte
	print  uint16    // fingerprint of the SYN, of this report
	zero   [2]uint32 // windows of 0, of this report
	rtt    [2]uint32 // µs, by side; 0 is not measured, of this report
	mark   uint32    // µs from opened to the latest SYN or SYN-ACK
	holeAt uint32    // µs from opened to the latest hole
	hole   [2]hole
}

// hole is what is missing below the highest sequence number of a side, the
// latest such only.
type hole struct{ from, to uint32 }

// Bits of Record.bits.
const (
	used       = 1 << iota
	sourceSide // the source is side 1
	known1     // how sure the source is: two bits
	known2
	fin0 // side 0 sent FIN
	fin1
	data0 // side 0 sent payload
	data1
	seq0 // next of side 0 is known
	seq1
	synSeen    // mark is the time of the source's SYN
	synAckSeen // mark is the time of the answer
)

// How sure it is who opened the flow.
const (
	bySpeaking = iota // who spoke first
	byPort            // the other has the well-known port
	byOpening         // SYN, SYN-ACK, or an ICMP request
)

func (r *Record) strength() int { return int(r.bits>>2) & 3 }

// Source returns the side (0 or 1) that opened the flow.
func (r *Record) Source() int { return int(r.bits>>1) & 1 }

func (r *Record) setSource(side, strength int) {
	r.bits = r.bits&^(sourceSide|known1|known2) | uint16(side<<1) | uint16(strength<<2)
}

// Ports returns the ports of side 0 and side 1.
func (r *Record) Ports() (uint16, uint16) { return uint16(r.key[4] >> 48), uint16(r.key[4] >> 32) }

func (r *Record) proto() uint8 { return uint8(r.key[4] >> 24) }

// key is what makes packets one flow: two endpoints, protocol, tags and
// tunnel. IPv4 is kept mapped; an IPv6 packet that uses mapped addresses on the
// wire, which no host should send, falls together with it.
type key [6]uint64

// equal is ==, which the compiler makes a call of.
func (k *key) equal(o *key) bool {
	return k[0] == o[0] && k[1] == o[1] && k[2] == o[2] && k[3] == o[3] && k[4] == o[4] && k[5] == o[5]
}

// of makes k the key of the packet's flow, lower endpoint first, and returns
// which side sent the packet. One-way ICMP is not turned round, because type
// and code are no endpoints.
//
// A key is written where it is needed: one that is returned is copied in pieces
// larger than those that were written, for which the processor waits.
func (k *key) of(p *packet.Packet) (side int) {
	s, d := p.Src, p.Dst
	sp, dp := uint64(p.SrcPort), uint64(p.DstPort)
	if !p.OneWay && (d.Hi < s.Hi || d.Hi == s.Hi && (d.Lo < s.Lo || d.Lo == s.Lo && dp < sp)) {
		s, d, sp, dp, side = d, s, dp, sp, 1
	}
	k[0], k[1], k[2], k[3] = s.Hi, s.Lo, d.Hi, d.Lo
	k[4] = sp<<48 | dp<<32 | uint64(p.Proto)<<24 | uint64(p.VLAN&0xfff)<<12 | uint64(p.InnerVLAN&0xfff)
	k[5] = uint64(p.Tunnel)<<32 | uint64(p.TunnelID)
	return side
}
