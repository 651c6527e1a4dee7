package store

import (
	"net/netip"
	"time"

	"github.com/rind-project/rind/internal/network"
)

// What every query keeps to.
const (
	MaxRows      = 1000      // of one answer
	DefaultRows  = 100       // when Limit is 0
	DefaultRange = time.Hour // when neither From nor To is given
	MaxBuckets   = 10_000    // of one traffic query
)

// Cursor is a place in a list that is sorted from new to old: the row that a
// page ended on. The zero Cursor is the list's begin.
type Cursor struct {
	Time time.Time
	ID   int64
}

// FlowQuery says which flows are asked for. Zero fields ask for all.
type FlowQuery struct {
	From, To time.Time    // From ≤ flow start < To; the zero range is the last hour
	Addr     netip.Prefix // source or destination
	Port     uint16       // source or destination
	Proto    network.Proto
	App      string
	Tunnel   network.Tunnel
	Country  string // of source or destination, two letters
	AS       uint32 // of source or destination
	Name     string // of source or destination; with a leading "." or "*.", every name below it
	Tap      network.TapID
	Limit    int
	Before   Cursor
}

// Flow is a flow as a tap reported it, with its place in the list.
type Flow struct {
	ID  int64         `json:"id,string"` // a JSON number would be rounded beyond 2^53
	Tap network.TapID `json:"tap"`
	network.Flow
	Enrichment
	Told
	CommunityID string `json:"community_id"`
}

// Cursor returns the place of this row, for FlowQuery.Before.
func (f Flow) Cursor() Cursor { return Cursor{f.Start, f.ID} }

// DNSQuery says which DNS queries are asked for. Zero fields ask for all.
type DNSQuery struct {
	From, To time.Time
	Addr     netip.Prefix // client or server
	Name     string       // that name; with a leading "." or "*.", every name below it
	Type     uint16
	Via      string // dns, mdns, llmnr or nbns
	Domain   string // registered domain
	Tap      network.TapID
	Limit    int
	Before   Cursor
}

// DNS is a DNS query as a tap reported it, with its place in the list.
type DNS struct {
	ID  int64         `json:"id,string"` // a JSON number would be rounded beyond 2^53
	Tap network.TapID `json:"tap"`
	network.DNSQuery
}

// Cursor returns the place of this row, for DNSQuery.Before.
func (d DNS) Cursor() Cursor { return Cursor{d.Time, d.ID} }

// TLSQuery says which TLS hellos are asked for. Zero fields ask for all.
type TLSQuery struct {
	From, To    time.Time
	Addr        netip.Prefix // client or server
	Name        string       // that server name; with a leading "." or "*.", every name below it
	Fingerprint string       // JA4, JA3, JA3S or the certificate's SHA-256
	Tap         network.TapID
	Limit       int
	Before      Cursor
}

// TLS is a handshake as a tap reported it, with its place in the list.
type TLS struct {
	ID  int64         `json:"id,string"` // a JSON number would be rounded beyond 2^53
	Tap network.TapID `json:"tap"`
	network.TLSHello
}

// Cursor returns the place of this row, for TLSQuery.Before.
func (t TLS) Cursor() Cursor { return Cursor{t.Time, t.ID} }

// TrafficPoint is what all taps saw in one bucket of time.
type TrafficPoint struct {
	Time    time.Time `json:"time"` // begin of the bucket
	Bytes   int64     `json:"bytes"`
	Packets int64     `json:"packets"`
	Flows   int64     `json:"flows"`
}

// Talker is what one address sent and received.
type Talker struct {
	Addr     netip.Addr `json:"addr"`
	BytesIn  int64      `json:"bytes_in"`
	BytesOut int64      `json:"bytes_out"`
	Packets  int64      `json:"packets"`
	Flows    int64      `json:"flows"`
}

// Name is a DNS name or a TLS server name, and when it was seen.
type Name struct {
	Name  string    `json:"name"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	Count int64     `json:"count"`
}

// LedgerQuery says which ledgers are asked for. Zero fields ask for all.
type LedgerQuery struct {
	From, To time.Time
	Tap      network.TapID
	Limit    int
	Before   Cursor
}

// Ledger is the account of one interface in one report.
type Ledger struct {
	ID       int64         `json:"id,string"`
	Tap      network.TapID `json:"tap"`
	Boot     string        `json:"boot"`
	Sequence uint64        `json:"sequence"`
	Start    time.Time     `json:"start"`
	End      time.Time     `json:"end"`
	network.Ledger
}

// Cursor returns the place of this row, for LedgerQuery.Before.
func (l Ledger) Cursor() Cursor { return Cursor{l.End, l.ID} }

// Loss sums the ledgers of a tap over a range.
type Loss struct {
	Tap             network.TapID `json:"tap"`
	Received        int64         `json:"received"`
	Summarised      int64         `json:"summarised"`
	DroppedKernel   int64         `json:"dropped_kernel"`
	DroppedPipeline int64         `json:"dropped_pipeline"`
	Malformed       int64         `json:"malformed"`
	Bytes           int64         `json:"bytes"`
	Reports         int64         `json:"reports"`
}

// Percent is the share of the received packets that no row accounts for
// because they were dropped, in percent.
func (l Loss) Percent() float64 {
	if l.Received == 0 {
		return 0
	}
	return 100 * float64(l.DroppedKernel+l.DroppedPipeline) / float64(l.Received)
}

// Gap is a gap as a tap reported it.
type Gap struct {
	Tap network.TapID `json:"tap"`
	network.Gap
}
