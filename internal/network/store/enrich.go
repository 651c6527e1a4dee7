package store

import (
	"database/sql"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/record"
)

// Enrichment is what a node knew of the two ends of a flow when it took the
// report, beyond what the tap saw. What it did not know is empty.
type Enrichment struct {
	SrcCountry string `json:"src_country,omitempty"` // ISO 3166-1, two letters
	DstCountry string `json:"dst_country,omitempty"`
	SrcAS      uint32 `json:"src_as,omitempty"` // number of the autonomous system
	DstAS      uint32 `json:"dst_as,omitempty"`
	SrcName    string `json:"src_name,omitempty"` // from the inventory, or from DNS answers seen
	DstName    string `json:"dst_name,omitempty"`
}

// Told is what the node that answers a question knows of a flow's ends by now.
type Told struct {
	SrcVendor string `json:"src_vendor,omitempty"` // of the hardware address (IEEE)
	DstVendor string `json:"dst_vendor,omitempty"`
	SrcASOrg  string `json:"src_as_org,omitempty"`
	DstASOrg  string `json:"dst_as_org,omitempty"`
}

// Enricher knows more of addresses than the taps do. Its methods are called
// for every row of every report, by many goroutines.
type Enricher interface {
	// Learn looks at a report before its flows are asked about.
	Learn(r *network.Report)
	// Flow says what is known of the ends of a flow that a tap saw.
	Flow(tap network.TapID, f *network.Flow) Enrichment
	// Vendor is who a hardware address was assigned to, or "".
	Vendor(mac [6]byte) string
	// Org is the name of the autonomous system of an address, or "".
	Org(addr netip.Addr) string
}

// Enrich has the rows of flows enriched, from now on. It is called before the
// store is used.
func (s *Store) Enrich(e Enricher) { s.enricher = e }

// enriched writes the row's part of an Enrichment. A column is NULL where
// nothing was known, which costs a COPY four bytes.
func (b *batch) enriched(f *network.Flow, r *database.Row) {
	var e Enrichment
	if b.about != nil {
		e = b.about.Flow(b.Tap, f)
	}
	known(r, e.SrcCountry)
	known(r, e.DstCountry)
	number(r, e.SrcAS)
	number(r, e.DstAS)
	known(r, e.SrcName)
	known(r, e.DstName)
}

func known(r *database.Row, s string) {
	if s == "" {
		r.Null()
		return
	}
	r.Text(database.Text(s))
}

func number(r *database.Row, n uint32) {
	if n == 0 {
		r.Null()
		return
	}
	r.Int(int64(n))
}

// nullEnrichment reads those columns.
type nullEnrichment struct {
	srcCountry, dstCountry sql.NullString
	srcAS, dstAS           sql.NullInt64
	srcName, dstName       sql.NullString
}

func (n *nullEnrichment) dest() []any {
	return []any{&n.srcCountry, &n.dstCountry, &n.srcAS, &n.dstAS, &n.srcName, &n.dstName}
}

func (n *nullEnrichment) value() Enrichment {
	return Enrichment{
		SrcCountry: n.srcCountry.String, DstCountry: n.dstCountry.String,
		SrcAS: uint32(n.srcAS.Int64), DstAS: uint32(n.dstAS.Int64),
		SrcName: n.srcName.String, DstName: n.dstName.String,
	}
}

// tell completes a flow that is being read.
func (s *Store) tell(f *Flow) {
	if s.enricher == nil {
		return
	}
	f.SrcVendor, f.DstVendor = s.enricher.Vendor(f.SrcMAC), s.enricher.Vendor(f.DstMAC)
	f.SrcASOrg, f.DstASOrg = s.enricher.Org(f.Source), s.enricher.Org(f.Dest)
}

// enriched adds what a query says of an Enrichment.
func (w *where) enriched(q FlowQuery) {
	if q.Country != "" {
		c := database.Text(strings.ToUpper(q.Country))
		w.and("(src_country = ? OR dst_country = ?)", c, c)
	}
	if q.AS != 0 {
		w.and("(src_as = ? OR dst_as = ?)", int64(q.AS), int64(q.AS))
	}
	if q.Name != "" {
		w.either("src_name", "dst_name", q.Name)
	}
}

// AboutSource is what is known of a flow's source, in one line: name, country,
// autonomous system and vendor.
func (f Flow) AboutSource() string {
	return about(f.SrcName, f.SrcCountry, f.SrcAS, f.SrcASOrg, f.SrcVendor)
}

// AboutDest is what is known of a flow's destination.
func (f Flow) AboutDest() string {
	return about(f.DstName, f.DstCountry, f.DstAS, f.DstASOrg, f.DstVendor)
}

func about(name, country string, as uint32, org, vendor string) string {
	parts := []string{name, country}
	if as != 0 {
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("AS%d %s", as, org)))
	}
	if country == "" && as == 0 {
		// Far away, the vendor is that of a router on the way.
		parts = append(parts, vendor)
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

// Vendor returns the kind's column of hardware addresses to which the Vendor
// of a Record belongs, or nil.
func (k Kind) Vendor() *record.Column {
	for i := range k.Columns {
		if k.Columns[i].Type == record.MAC {
			return &k.Columns[i]
		}
	}
	return nil
}

// vendors completes records that are being read.
func (s *Store) vendors(k Kind, all []Record) {
	c := k.Vendor()
	if c == nil || s.enricher == nil {
		return
	}
	for i := range all {
		all[i].Vendor = s.enricher.Vendor(*record.At[network.MAC](all[i].Row, c))
	}
}
