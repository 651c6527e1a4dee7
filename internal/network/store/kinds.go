package store

import (
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/network/record"
)

// Kind is one kind of row that taps report: a list of network.Records, or one
// of those that were there before them.
type Kind struct {
	*record.Kind
	Table string
	Time  string // the column that lists are sorted by
	Own   string // where a list of its own is, in the API and on the pages; "" is /records/{kind}
}

// Flows, DNS queries and TLS hellos have lists of their own, with more to ask
// for, and their columns stand there; ledgers and gaps are listed as records
// are.
const (
	KindFlows   = "flows"
	KindDNS     = "dns"
	KindTLS     = "tls"
	KindLedgers = "ledgers"
	KindGaps    = "gaps"
)

// ledgerRow and gapRow are ledgers and gaps as lists of records show them.
type ledgerRow struct {
	Time     time.Time `json:"time" doc:"end of the report"`
	Start    time.Time `json:"start" doc:"begin of the report"`
	Boot     string    `json:"boot" filter:"true" doc:"start of the tap that the report is of"`
	Sequence uint64    `json:"sequence" filter:"true" doc:"of the report"`
	ledgerCounts
}

type ledgerCounts struct {
	Interface         string `json:"interface" filter:"true" doc:"or file"`
	Received          uint64 `json:"received" doc:"packets that reached the interface"`
	Summarised        uint64 `json:"summarised" doc:"packets that rows tell of"`
	DroppedKernel     uint64 `json:"dropped_kernel" doc:"packets that the ring had no room for"`
	DroppedPipeline   uint64 `json:"dropped_pipeline" doc:"packets that a bound of the tap left out"`
	Malformed         uint64 `json:"malformed" doc:"packets that could not be read"`
	HeldFragments     uint64 `json:"held_fragments" doc:"put aside in this report"`
	ReleasedFragments uint64 `json:"released_fragments" doc:"put aside earlier, accounted for in this report"`
	Bytes             uint64 `json:"bytes" doc:"on the wire"`
}

type gapRow struct {
	Time     time.Time `json:"time" doc:"where the gap ends: the start of the boot that told of it"`
	From     time.Time `json:"from" doc:"where it begins"`
	Boot     string    `json:"boot" filter:"true" doc:"start of the tap that ended uncleanly"`
	Sequence uint64    `json:"sequence" filter:"true" doc:"its last report; 0 when there was none"`
}

// Kinds returns every kind of row: first those with lists of their own.
func Kinds() []Kind { return kinds() }

var kinds = sync.OnceValue(func() []Kind {
	all := []Kind{
		{&record.Kind{Name: KindFlows, Doc: "conversations between two endpoints, with their packets and bytes"}, "flows", "start_us", "/flows"},
		{&record.Kind{Name: KindDNS, Doc: "DNS queries with their answers"}, "dns_queries", "time_us", "/dns"},
		{&record.Kind{Name: KindTLS, Doc: "TLS hellos"}, "tls_hellos", "time_us", "/tls"},
		{record.Of(KindLedgers, "accounts of every packet, per interface and report", reflect.TypeFor[ledgerRow]()), "ledgers", "end_us", ""},
		{record.Of(KindGaps, "what was not seen, because a tap ended uncleanly", reflect.TypeFor[gapRow]()), "gaps", "to_us", ""},
	}
	for _, k := range record.Kinds() {
		all = append(all, Kind{k, "record_" + k.Name, "time_us", ""})
	}
	return all
})

// FindKind returns the kind of a name.
func FindKind(name string) (Kind, bool) {
	i := slices.IndexFunc(Kinds(), func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return Kind{}, false
	}
	return Kinds()[i], true
}

// sql is the name of a column in the kind's table.
func (k Kind) sql(c *record.Column) string {
	switch {
	case c.Name == "time":
		return k.Time
	case c.Type == record.Time:
		return c.Name + "_us"
	case c.Type == record.Duration:
		return c.Key + "_us"
	}
	return c.Key
}

// quoted is a column's name as it stands in SQL: "user" is a word of the
// language.
func (k Kind) quoted(c *record.Column) string { return `"` + k.sql(c) + `"` }

// recordTables is the schema of the tables of all records.
func recordTables() string {
	var b strings.Builder
	for _, k := range Kinds() {
		if strings.HasPrefix(k.Table, "record_") {
			b.WriteString(k.table())
		}
	}
	return b.String() + kindDays
}

// table is the schema of one table of records.
func (k Kind) table() string {
	var b strings.Builder
	b.WriteString("CREATE TABLE " + k.Table + " (\n\tid BIGINT NOT NULL,\n\ttap TEXT NOT NULL")
	for i := range k.Columns {
		c := &k.Columns[i]
		b.WriteString(",\n\t" + k.quoted(c) + " " + columnType(c))
	}
	b.WriteString("\n);\nCREATE INDEX " + k.Table + "_time ON " + k.Table + " (" + k.Time + ", id);\n")
	for _, c := range k.indexed() {
		b.WriteString("CREATE INDEX " + k.Table + "_" + k.sql(c) + " ON " + k.Table + " (" + k.quoted(c) + ", " + k.Time + ");\n")
	}
	return b.String() + "\n"
}

func columnType(c *record.Column) string {
	switch c.Type {
	case record.Addr, record.MAC:
		return "BYTEA"
	case record.Text, record.List:
		return "TEXT NOT NULL"
	case record.Bool:
		return "SMALLINT NOT NULL"
	case record.Uint, record.Int:
		bits := c.Bits
		if c.Type == record.Uint {
			bits++ // for the sign
		}
		switch {
		case bits <= 16:
			return "SMALLINT NOT NULL"
		case bits <= 32:
			return "INTEGER NOT NULL"
		}
	}
	return "BIGINT NOT NULL"
}

// indexed are the columns with an index: a hardware address, an address, a
// name; at most two, since each costs the insert.
func (k Kind) indexed() []*record.Column {
	var out []*record.Column
	for _, group := range [...][]string{{"mac", "bssid"}, {"addr", "client"}, {"host", "device", "ssid", "name", "id"}} {
		for _, name := range group {
			if c := k.Named(name); c != nil && c.Filter && len(out) < 2 {
				out = append(out, c)
				break
			}
		}
	}
	return out
}

// kind_days counts the rows of each kind, tap and day, and what their values
// take. A tap's reports come one after the other, so a row is not fought over.
const kindDays = `
CREATE TABLE kind_days (
	kind TEXT NOT NULL,
	tap TEXT NOT NULL,
	day_us BIGINT NOT NULL,
	seen BIGINT NOT NULL,
	size_bytes BIGINT NOT NULL,
	PRIMARY KEY (kind, day_us, tap)
);
INSERT INTO kind_days (kind, tap, day_us, seen, size_bytes) SELECT 'flows', tap, start_us / 86400000000 * 86400000000, COUNT(*), COUNT(*) * 200 FROM flows GROUP BY 1, 2, 3;
INSERT INTO kind_days (kind, tap, day_us, seen, size_bytes) SELECT 'dns', tap, time_us / 86400000000 * 86400000000, COUNT(*), COUNT(*) * 160 FROM dns_queries GROUP BY 1, 2, 3;
INSERT INTO kind_days (kind, tap, day_us, seen, size_bytes) SELECT 'tls', tap, time_us / 86400000000 * 86400000000, COUNT(*), COUNT(*) * 140 FROM tls_hellos GROUP BY 1, 2, 3;
INSERT INTO kind_days (kind, tap, day_us, seen, size_bytes) SELECT 'ledgers', tap, end_us / 86400000000 * 86400000000, COUNT(*), COUNT(*) * 160 FROM ledgers GROUP BY 1, 2, 3;
INSERT INTO kind_days (kind, tap, day_us, seen, size_bytes) SELECT 'gaps', tap, to_us / 86400000000 * 86400000000, COUNT(*), COUNT(*) * 100 FROM gaps GROUP BY 1, 2, 3;
`
