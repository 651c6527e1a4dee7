package web

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/record"
	"github.com/rind-project/rind/internal/network/store"
	"github.com/rind-project/rind/internal/web/page"
	"github.com/rind-project/rind/internal/web/ui"
)

// kindsView is the data of the page of the kinds of records.
type kindsView struct {
	Kinds []kindRow
	Empty bool // there is no row of any kind

	Bytes, MaxBytes int64 // of the telemetry, and what it may take; 0 is any size
	Database        int64 // of the whole database

	Tenants []tenantRow // none when all taps are of one
}

// tenantRow is what a tenant's rows of one kind take.
type tenantRow struct {
	Tenant, Kind    string
	Bytes, MaxBytes int64
	Keep, Next      string
}

// kindRow is a kind as a row of a table.
type kindRow struct {
	Name, Doc, Path string
	LastHour, Rows  int64
	More            bool // there are more in the last hour than were counted
	Bytes           int64
	Oldest          time.Time
	Keep            string
	Seen, HasOldest bool
	Next            string // when the next rows go
}

func (w *Web) records(rw http.ResponseWriter, r *http.Request) error {
	if w.Traffic == nil {
		return off("the node is")
	}
	infos, err := w.Traffic.KindInfos(r.Context())
	if err != nil {
		return fmt.Errorf("listing the kinds of records: %w", err)
	}
	all, err := w.Traffic.Storage(r.Context())
	if err != nil {
		return fmt.Errorf("measuring what records take: %w", err)
	}
	v := kindsView{Empty: true, Bytes: all.Bytes, MaxBytes: all.MaxBytes, Database: all.Database}
	for _, x := range infos {
		row := kindRow{Name: x.Kind.Name, Doc: x.Kind.Doc, Path: x.Kind.Own, LastHour: x.LastHour, Rows: x.Rows, Bytes: x.Bytes, Oldest: x.Oldest, Keep: kept(x.Keep),
			Seen: x.LastHour > 0, More: x.LastHour >= store.MaxCounted, HasOldest: !x.Oldest.IsZero()}
		if row.Path == "" {
			row.Path = "/records/" + x.Kind.Name
		}
		for _, t := range all.Tables {
			if t.Kind == x.Kind.Name {
				row.Bytes, row.Next = max(row.Bytes, t.Bytes), going(t.Next)
			}
		}
		v.Empty = v.Empty && !row.HasOldest
		v.Kinds = append(v.Kinds, row)
	}
	if v.Tenants, err = w.tenants(r.Context()); err != nil {
		return err
	}
	s := w.sheet(r, "Records", "/records")
	parts := []string{"rows"}
	if len(v.Tenants) > 0 {
		parts = append(parts, "tenants")
	}
	follow(&s, []string{topicNetwork}, parts...)
	s.Data = v
	return w.pages.Render(rw, r, http.StatusOK, "records", s)
}

// tenants says what the rows of each tenant's taps take by kind, and of all
// kinds when that is limited, unless all taps are of one.
func (w *Web) tenants(ctx context.Context) ([]tenantRow, error) {
	if w.Taps == nil {
		return nil, nil
	}
	all, err := w.Taps.TenantUses(ctx)
	if err != nil {
		return nil, fmt.Errorf("measuring what tenants take: %w", err)
	}
	if len(all) < 2 {
		return nil, nil
	}
	var rows []tenantRow
	for _, u := range all {
		if u.MaxBytes > 0 {
			rows = append(rows, tenantRow{Tenant: u.Tenant, Kind: "all", Bytes: u.Bytes, MaxBytes: u.MaxBytes})
		}
		for _, k := range u.Kinds {
			if k.Bytes > 0 || k.MaxBytes > 0 {
				rows = append(rows, tenantRow{u.Tenant, k.Kind, k.Bytes, k.MaxBytes, kept(k.Keep), going(k.Next)})
			}
		}
	}
	return rows, nil
}

// going says when a partition is dropped, and why when not for its age.
func going(d *store.Drop) string {
	switch {
	case d == nil:
		return ""
	case d.Size:
		return "now, for its size"
	}
	return d.At.UTC().Format("2 Jan 15:04")
}

// kept writes a retention in its largest whole unit.
func kept(d time.Duration) string {
	const day = 24 * time.Hour
	if d < 2*day {
		return plural(int(d/time.Hour), "hour", "hours")
	}
	return plural(int(d/day), "day", "days")
}

// signed writes a length of time that may lie behind, such as a clock's offset.
func signed(d time.Duration) string {
	if d < 0 {
		return "−" + ui.Took(-d)
	}
	return ui.Took(d)
}

// recordView is the data of the page of the records of one kind.
type recordView struct {
	listView
	Kind    store.Kind
	Columns []*record.Column // those that hold something
	Rows    []store.Record
}

// Title is a column's name for people.
func (recordView) Title(c *record.Column) string { return ui.Words(c.Name) }

// Number reports whether a column stands at the right.
func (recordView) Number(c *record.Column) bool {
	return c.Type == record.Uint || c.Type == record.Int || c.Type == record.Duration
}

// Addr reports whether a column holds addresses, which are read to their end.
func (recordView) Addr(c *record.Column) bool { return c.Type == record.Addr }

// Time is what stands in a column of times.
func (recordView) Time(r store.Record, c *record.Column) time.Time {
	return *record.At[time.Time](r.Row, c)
}

// IsTime reports whether a column holds times.
func (recordView) IsTime(c *record.Column) bool { return c.Type == record.Time }

// Cell is what stands in any other column, with the port behind an address.
func (v recordView) Cell(r store.Record, c *record.Column) string {
	text := r.Text(c)
	switch c.Type {
	case record.Duration:
		if d := *record.At[time.Duration](r.Row, c); d != 0 {
			return signed(d)
		}
	case record.MAC:
		if r.Vendor != "" && c.Name == v.Kind.Vendor().Name {
			text += " (" + r.Vendor + ")"
		}
	case record.Addr:
		if port := v.Kind.Named(c.Name + "_port"); port != nil && text != "" && !r.Cell(port).IsZero() {
			text += " :" + r.Text(port)
		}
	}
	return text
}

func (w *Web) recordList(rw http.ResponseWriter, r *http.Request) error {
	if w.Traffic == nil {
		return off("the node is")
	}
	kind, ok := store.FindKind(r.PathValue("kind"))
	if !ok {
		return errs.New(errs.NotFound, "there is no kind of records of this name; the page Records lists them")
	}
	if kind.Own != "" {
		http.Redirect(rw, r, kind.Own, http.StatusSeeOther)
		return nil
	}
	list, win, before := w.listing(r, recordFields(kind)...)
	v := recordView{listView: list, Kind: kind}
	q := store.RecordQuery{Kind: kind.Name, From: win.From, To: win.To, Tap: network.TapID(v.Filter.value("tap")), Limit: pageRows, Before: before, Filters: map[string]string{}}
	for _, c := range kind.Filters() {
		if text := v.Filter.value(c.Key); text != "" {
			q.Filters[c.Key] = text
		}
	}
	v.Filter.fault(q.Validate())
	if v.Filter.Error == "" {
		var err error
		if v.Rows, err = w.Traffic.Records(r.Context(), q); err != nil {
			return fmt.Errorf("listing the records: %w", err)
		}
		if n := len(v.Rows); n > 0 {
			v.paging = newPaging(r, n, n == pageRows, v.Rows[n-1].Cursor())
		}
	}
	v.Columns = shownColumns(kind, v.Rows)
	s := w.sheet(r, ui.Words(kind.Name), "/records")
	if win.Live() && before == (store.Cursor{}) {
		follow(&s, []string{topicNetwork}, "rows")
	}
	s.Data = v
	return w.pages.Render(rw, r, http.StatusOK, "record", s)
}

// shownColumns are the columns that hold something in one of the rows; ports
// stand with their addresses.
func shownColumns(k store.Kind, rows []store.Record) []*record.Column {
	var out []*record.Column
	for i := range k.Columns {
		c := &k.Columns[i]
		if i > 0 && (c.Name == "proto" || c.Name == "client_port" || c.Name == "server_port") {
			continue
		}
		for _, r := range rows {
			if !r.Cell(c).IsZero() {
				out = append(out, c)
				break
			}
		}
	}
	return out
}

var yesNo = []page.Pair{{Key: "", Value: "any"}, {Key: "true", Value: "yes"}, {Key: "false", Value: "no"}}

// recordFields are the filters of a kind.
func recordFields(k store.Kind) []field {
	var out []field
	for _, c := range k.Filters() {
		f := field{Name: c.Key, Label: ui.Words(c.Name)}
		switch c.Type {
		case record.Addr:
			f.Example = "192.0.2.0/24"
		case record.MAC:
			f.Example = "02:00:00:00:00:01"
		case record.Bool:
			f.Options = yesNo
		case record.Uint, record.Int:
			f.Example = strconv.Itoa(1)
		default:
			f.Example = "text, or a*"
		}
		out = append(out, f)
	}
	return append(out, field{Name: "tap", Label: "Tap", Example: "office"})
}
