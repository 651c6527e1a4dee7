package enrich

import (
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/rind-project/rind/internal/base/errs"
)

// geoDB is an MMDB file (https://maxmind.github.io/MaxMind-DB/) with what was
// decoded of it so far: many networks share one record.
type geoDB struct {
	reader *maxminddb.Reader

	mu    sync.RWMutex
	known map[uintptr]place // by the record's offset
}

// place is what a record says.
type place struct {
	country string // ISO 3166-1, two letters
	as      uint32
	org     string
}

// maxKnown bounds the records that are kept decoded; a file of all autonomous
// systems has some 80,000.
const maxKnown = 200_000

func openGeo(content []byte) (*geoDB, int, error) {
	reader, err := maxminddb.OpenBytes(content)
	if err != nil {
		return nil, 0, errs.New(errs.Invalid, "this is no MMDB file, or it was cut off: %w", err)
	}
	return &geoDB{reader: reader, known: map[uintptr]place{}}, int(reader.Metadata.NodeCount), nil
}

// find looks an address up. A record that cannot be read says nothing.
func (g *geoDB) find(addr netip.Addr) place {
	r := g.reader.Lookup(addr)
	if r.Err() != nil || !r.Found() {
		return place{}
	}
	g.mu.RLock()
	p, ok := g.known[r.Offset()]
	g.mu.RUnlock()
	if ok {
		return p
	}
	p = decode(r)
	g.mu.Lock()
	if len(g.known) < maxKnown {
		g.known[r.Offset()] = p
	}
	g.mu.Unlock()
	return p
}

// decode reads the fields of the common files: those of MaxMind and DB-IP, and
// those of IPinfo ("country_code", "asn", "as_name").
func decode(r maxminddb.Result) (p place) {
	for _, path := range [][]any{{"country", "iso_code"}, {"registered_country", "iso_code"}, {"country_code"}} {
		if c := text(r, path...); isCountry(c) {
			p.country = c
			break
		}
	}
	if r.DecodePath(&p.as, "autonomous_system_number") != nil || p.as == 0 {
		n, _ := strconv.ParseUint(strings.TrimPrefix(text(r, "asn"), "AS"), 10, 32)
		p.as = uint32(n)
	}
	if p.org = clean(text(r, "autonomous_system_organization")); p.org == "" {
		p.org = clean(text(r, "as_name"))
	}
	return p
}

func text(r maxminddb.Result, path ...any) (s string) {
	if r.DecodePath(&s, path...) != nil {
		return ""
	}
	return s
}

func isCountry(s string) bool {
	return len(s) == 2 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}
