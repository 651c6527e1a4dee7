package store

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/record"
)

// part is a table that is kept in partitions by time, which are dropped whole.
// On PostgreSQL it is a partitioned table; on SQLite it is a view over its
// partitions. Both have one more partition, named like the table with "_rest",
// which takes what no other one covers.
type part struct {
	table  string
	column string // the time that rows are partitioned and listed by
	kind   string // "" when the rows are sums
	live   []string
	later  []string // columns that get an index once a partition takes no more rows
}

// parts returns every partitioned table.
func parts() []part { return allParts() }

var allParts = sync.OnceValue(func() []part {
	own := map[string]part{
		KindFlows:   {live: []string{"src", "dst"}},
		KindDNS:     {live: []string{"client"}, later: []string{"name", "domain"}},
		KindTLS:     {live: []string{"client"}, later: []string{"sni"}},
		KindLedgers: {live: []string{"tap"}},
		KindGaps:    {live: []string{"tap"}},
	}
	var all []part
	for _, k := range Kinds() {
		p, ok := own[k.Name]
		if !ok {
			for i, c := range k.indexed() {
				if i == 0 {
					p.live = append(p.live, k.sql(c))
				} else {
					p.later = append(p.later, k.sql(c))
				}
			}
		}
		p.table, p.column, p.kind = k.Table, k.Time, k.Name
		all = append(all, p)
	}
	return append(all, minuteSums, minuteTotals, hostHours)
})

// The sums that are partitioned as the kinds are.
var (
	minuteSums   = part{table: "traffic_minutes", column: "minute_us"}
	minuteTotals = part{table: "traffic_totals", column: "minute_us"}
	hostHours    = part{table: "host_hours", column: "hour_us", live: []string{"addr"}}
)

// partOf returns the partitioned table of a name.
func partOf(table string) part {
	i := slices.IndexFunc(parts(), func(p part) bool { return p.table == table })
	return parts()[i]
}

// rest is the partition that takes what no other one covers.
func (p part) rest() string { return p.table + "_rest" }

// keep is how long the table's rows are kept.
func (p part) keep(r Retention) time.Duration {
	switch {
	case p.kind != "":
		k, _ := FindKind(p.kind)
		return r.longest(k)
	case p.table == hostHours.table:
		return r.Hosts
	}
	return r.Traffic
}

// The widths of partitions. Each begins at a multiple of itself since 1970.
const (
	hour = time.Hour
	day  = 24 * time.Hour
	week = 7 * day
)

// Partitioning says how wide partitions are.
type Partitioning string

// By hour, by day, or as the number of rows and the retention suggest.
const (
	Auto   Partitioning = "auto"
	Hourly Partitioning = "hour"
	Daily  Partitioning = "day"
)

// Rows a day from which a table has a partition for each hour, or for each day.
const (
	hourlyRows = 5_000_000
	dailyRows  = 20_000
)

// Validate says what is wrong.
func (p Partitioning) Validate() error {
	switch p {
	case Auto, Hourly, Daily:
		return nil
	}
	return errs.New(errs.Invalid, "node.partitions is %.64q: choose auto, hour or day", string(p))
}

// width is how wide a partition of a table is that gets so many rows a day, and
// keeps them so long.
func (p part) width(how Partitioning, keep time.Duration, rows int64) time.Duration {
	switch {
	case p.kind == "" && keep > 60*day:
		return week
	case p.kind == "":
		return day
	case how == Hourly && (p.kind == KindFlows || p.kind == KindDNS || p.kind == KindTLS), keep < 2*day:
		return hour
	case how == Daily:
		return day
	case rows >= hourlyRows:
		return hour
	case rows >= dailyRows, keep < 4*week:
		return day
	}
	return week
}

// name is the name of the partition that begins at a time.
func (p part) name(from time.Time, width time.Duration) string {
	if width == hour {
		return p.table + from.UTC().Format("_p2006010215")
	}
	return p.table + from.UTC().Format("_p20060102")
}

// indexName is the name of an index of a partition; PostgreSQL has 63 bytes.
func indexName(partition, column string) string { return partition + "_" + column }

// isRecord says whether the kind is a list of network.Records.
func (k Kind) isRecord() bool {
	_, ok := record.Find(k.Name)
	return ok && strings.HasPrefix(k.Table, "record_")
}
