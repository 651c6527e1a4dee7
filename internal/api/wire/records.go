package wire

import (
	"time"

	"github.com/rind-project/rind/internal/network/record"
	"github.com/rind-project/rind/internal/network/store"
)

// KindsOut is every kind of row that taps report.
type KindsOut struct {
	Kinds []KindOut `json:"kinds"`
}

// KindOut is one kind of row, and what there is of it.
type KindOut struct {
	Kind      string      `json:"kind"`
	Doc       string      `json:"doc" doc:"what it tells"`
	List      string      `json:"list" doc:"path of the list of its rows"`
	Rows      int64       `json:"rows" doc:"exact to a day"`
	LastHour  int64       `json:"last_hour" doc:"rows of the last hour; 10000 is that many or more"`
	SizeBytes int64       `json:"size_bytes" doc:"estimated"`
	Oldest    *time.Time  `json:"oldest,omitempty"`
	Newest    *time.Time  `json:"newest,omitempty"`
	Retention Span        `json:"retention" doc:"how long rows are kept"`
	Columns   []ColumnOut `json:"columns,omitempty" doc:"of records; flows, dns and tls have lists of their own, with other columns"`
}

// ColumnOut is a column of a kind of records.
type ColumnOut struct {
	Name   string      `json:"name" doc:"in the rows"`
	Type   record.Type `json:"type" doc:"time, duration (nanoseconds), address, mac, text, list, bool, uint or int"`
	Doc    string      `json:"doc"`
	Filter string      `json:"filter,omitempty" doc:"the parameter that filters by it"`
}

// NewKind describes a kind.
func NewKind(prefix string, info store.KindInfo) KindOut {
	k := info.Kind
	out := KindOut{Kind: k.Name, Doc: k.Doc, List: prefix + k.Own, Rows: info.Rows, LastHour: info.LastHour, SizeBytes: info.Bytes, Retention: Span(info.Keep)}
	if k.Own == "" {
		out.List = prefix + "/records/" + k.Name
	}
	if !info.Oldest.IsZero() {
		out.Oldest, out.Newest = &info.Oldest, &info.Newest
	}
	for _, c := range k.Columns {
		column := ColumnOut{Name: c.Name, Type: c.Type, Doc: c.Doc}
		if c.Filter {
			column.Filter = c.Key
		}
		out.Columns = append(out.Columns, column)
	}
	return out
}

// RecordsIn asks for records of one kind.
type RecordsIn struct {
	Kind string `path:"kind" doc:"name of the kind, as GET /records lists it"`
	Range
	Filters map[string]string `query:"*" doc:"filters of the kind: an address or a network, a text that may begin or end with *, true or false, a number"`
}

// RecordsOut is a page of records, from new to old.
type RecordsOut struct {
	Kind    string         `json:"kind"`
	Records []store.Record `json:"records"`
	Next    *Cursor        `json:"next,omitempty" doc:"before of the next page; absent on the last"`
}
