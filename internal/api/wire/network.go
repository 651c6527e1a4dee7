package wire

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/network/ingest"
	"github.com/rind-project/rind/internal/network/store"
)

// Cursor is the place in a list that a page ended on. It is opaque to clients.
type Cursor store.Cursor

// MarshalText writes the cursor.
func (c Cursor) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%d.%d", c.Time.UnixMicro(), c.ID), nil
}

// UnmarshalText reads what MarshalText wrote.
func (c *Cursor) UnmarshalText(b []byte) error {
	first, second, ok := strings.Cut(string(b), ".")
	micros, err1 := strconv.ParseInt(first, 10, 64)
	id, err2 := strconv.ParseInt(second, 10, 64)
	if !ok || err1 != nil || err2 != nil {
		return fmt.Errorf("%.64q is not a cursor: give the next of the page before", string(b))
	}
	*c = Cursor{Time: time.UnixMicro(micros).UTC(), ID: id}
	return nil
}

// Range is what all lists of telemetry take.
type Range struct {
	From   When   `query:"from" doc:"not before: RFC 3339, a day, or how long ago such as 1h"`
	To     When   `query:"to" doc:"before this moment, in the same forms"`
	Tap    string `query:"tap" doc:"seen by this tap"`
	Limit  int    `query:"limit" default:"100" min:"1" max:"1000" doc:"rows in one page"`
	Before Cursor `query:"before" doc:"next of the page before"`
}

// FlowsIn asks for flows.
type FlowsIn struct {
	Range
	Addr   Net    `query:"addr" doc:"source or destination: an address or a network"`
	Port   uint16 `query:"port" doc:"source or destination port"`
	Proto  string `query:"proto" doc:"tcp, udp, icmp, icmpv6, igmp, sctp or a number"`
	App    string `query:"app" doc:"application protocol, such as dns or tls"`
	Tunnel string `query:"tunnel" doc:"carried in vxlan, geneve, gre, erspan, ipip, mpls, pppoe or ppp"`

	Country string `query:"country" doc:"source or destination: two letters, such as DE"`
	AS      uint32 `query:"as" doc:"source or destination: number of the autonomous system"`
	Name    string `query:"name" doc:"name of source or destination, as DNS or the inventory had it; *.example.com is every name below"`
}

// FlowsOut is a page of flows, from new to old.
type FlowsOut struct {
	Flows []store.Flow `json:"flows"`
	Next  *Cursor      `json:"next,omitempty" doc:"before of the next page; absent on the last"`
}

// NamesIn asks for DNS queries or TLS hellos.
type NamesIn struct {
	Range
	Addr Net    `query:"addr" doc:"client or server: an address or a network"`
	Name string `query:"name" doc:"exactly this name, or every name below it with a leading *."`
}

// DNSIn asks for DNS queries.
type DNSIn struct {
	NamesIn
	Type   uint16 `query:"type" doc:"number of the record type, such as 1 for A"`
	Via    string `query:"via" enum:"dns,mdns,llmnr,nbns" doc:"protocol: dns, mdns, llmnr or nbns"`
	Domain string `query:"domain" doc:"registered domain, such as example.co.uk"`
}

// DNSOut is a page of DNS queries, from new to old.
type DNSOut struct {
	DNS  []store.DNS `json:"dns"`
	Next *Cursor     `json:"next,omitempty" doc:"before of the next page; absent on the last"`
}

// TLSOut is a page of TLS hellos, from new to old.
type TLSOut struct {
	TLS  []store.TLS `json:"tls"`
	Next *Cursor     `json:"next,omitempty" doc:"before of the next page; absent on the last"`
}

// TrafficIn asks for the traffic over time.
type TrafficIn struct {
	From   When `query:"from" doc:"not before; an hour ago without it"`
	To     When `query:"to" doc:"before this moment; now without it"`
	Bucket Span `query:"bucket" doc:"width of a point, at least 1m; chosen to give about 60 points without it"`
}

// TrafficOut is the traffic over time, from old to new.
type TrafficOut struct {
	From    time.Time            `json:"from"`
	To      time.Time            `json:"to"`
	Bucket  Span                 `json:"bucket"`
	Traffic []store.TrafficPoint `json:"traffic"`
}

// TalkersIn asks for who talked most.
type TalkersIn struct {
	From  When `query:"from" doc:"not before; an hour ago without it"`
	To    When `query:"to" doc:"before this moment; now without it"`
	Limit int  `query:"limit" default:"10" min:"1" max:"1000" doc:"addresses"`
}

// TalkersOut is who talked most, the most first.
type TalkersOut struct {
	From    time.Time      `json:"from"`
	To      time.Time      `json:"to"`
	Talkers []store.Talker `json:"talkers"`
}

// TapsIn asks for a page of taps.
type TapsIn struct {
	Limit int    `query:"limit" default:"100" min:"1" max:"1000" doc:"taps in one page"`
	After string `query:"after" doc:"name that the page before ended on"`

	Tenant string `query:"tenant" doc:"only the taps of this tenant"`
}

// TapsOut is a page of taps, sorted by name.
type TapsOut struct {
	Taps []ingest.TapInfo `json:"taps"`
	Next string           `json:"next,omitempty"` // pass as after for the next page
}

// TapIn names a tap that is to be added.
type TapIn struct {
	Name string `json:"name" required:"true" doc:"name of the tap: a-z, 0-9, _ and -, at most 63"`
	TTL  Span   `json:"ttl,omitzero" doc:"life of its token; it does not end without it"`

	Tenant string `json:"tenant,omitempty" doc:"whose it is, which decides how long its rows are kept; default without it"`
}

// TapTenantIn gives a tap to a tenant.
type TapTenantIn struct {
	Name   string `path:"name" json:"-" doc:"name of the tap"`
	Tenant string `json:"tenant" required:"true" doc:"name of the tenant: a-z, 0-9, _ and -, at most 63"`
}

// TapRotateIn asks for a new token of a tap.
type TapRotateIn struct {
	Name string `path:"name" json:"-" doc:"name of the tap"`
	TTL  Span   `json:"ttl,omitzero" doc:"life of its token; it does not end without it"`
}

// TapName names a tap.
type TapName struct {
	Name string `path:"name" doc:"name of the tap"`
}

// TapOut is the token of a new tap. It is shown this once.
type TapOut struct {
	Name  string `json:"name"`
	Token string `json:"token"`
	Join  string `json:"join" doc:"the command to type on the machine of the tap"`
}

// OverviewOut is the state of everything in numbers.
type OverviewOut struct {
	Time     time.Time      `json:"time"`
	Problems []string       `json:"problems,omitempty" doc:"what does not work just now; /readyz says the same"`
	Fleet    *FleetOverview `json:"fleet,omitempty" doc:"absent when this server is no master"`
	Network  *TapsOverview  `json:"network,omitempty" doc:"absent when this server is no node"`
}

// FleetOverview counts the managed hosts.
type FleetOverview struct {
	Peels     int `json:"peels"`
	Connected int `json:"connected"`
	Away      int `json:"away"`
	Never     int `json:"never"`
	CutOff    int `json:"cut_off" doc:"peels that are kept off the bus; rind enroll list --state suspended says why"`
	Pending   int `json:"pending" doc:"enrollments that wait for a decision"`
	Running   int `json:"running" doc:"jobs that run, among the latest 50"`
}

// TapsOverview counts the taps, and what they saw in the last hour.
type TapsOverview struct {
	Taps      int   `json:"taps"`
	Reporting int   `json:"reporting" doc:"taps whose last report is at most a minute old"`
	Received  int64 `json:"received" doc:"packets that reached the taps in the last 24 hours"`
	Dropped   int64 `json:"dropped" doc:"packets of them that were dropped"`
	Bytes     int64 `json:"bytes" doc:"in flows of the last hour"`
	Flows     int64 `json:"flows" doc:"in the last hour"`
}

// ReportOut says what became of a report.
type ReportOut struct {
	Status string `json:"status" doc:"committed, or duplicate when it had been committed before"`
}

// TLSIn asks for TLS hellos.
type TLSIn struct {
	NamesIn
	Fingerprint string `query:"fingerprint" doc:"JA4, JA3 or JA3S, or the SHA-256 of the server's certificate"`
}
