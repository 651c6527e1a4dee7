package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/store"
	"github.com/rind-project/rind/internal/web/page"
	"github.com/rind-project/rind/internal/web/ui"
)

// windowView is the time-range picker.
type windowView struct {
	Choices  []ui.Choice
	Live     bool
	From, To string
	Label    string
	Keep     []page.Pair // hidden fields of the other parameters
}

// window reads the time range of a request. A malformed one is an error to
// show beside the default range.
func (w *Web) window(r *http.Request) (ui.Window, windowView, error) {
	q := r.URL.Query()
	win, err := ui.ParseWindow(q, w.Now())
	v := windowView{Choices: win.Choices(q), Live: win.Live(), From: win.FormFrom(), To: win.FormTo(), Label: win.Label()}
	v.Keep = keep(q, "from", "to", "range", "before")
	return win, v, err
}

// keep makes hidden fields of all parameters but some, in a stable order.
func keep(q url.Values, but ...string) []page.Pair {
	var out []page.Pair
	for k, v := range q {
		if !slices.Contains(but, k) && len(v) > 0 && v[0] != "" {
			out = append(out, page.Pair{Key: k, Value: v[0]})
		}
	}
	slices.SortFunc(out, func(a, b page.Pair) int { return strings.Compare(a.Key.(string), b.Key.(string)) })
	return out
}

// field is an input of a filter.
type field struct {
	Name, Label, Value, Example string
	Options                     []page.Pair
	Grow, Bad                   bool
}

// filter is the form above a list.
type filter struct {
	Fields []field
	Keep   []page.Pair
	Clear  string // address without the filter; empty when none is set
	Error  string
}

// newFilter fills the fields from the request.
func newFilter(r *http.Request, fields ...field) filter {
	q := r.URL.Query()
	f := filter{Fields: fields}
	names := []string{"before"}
	set := false
	for i := range f.Fields {
		name := f.Fields[i].Name
		f.Fields[i].Value, _ = ui.Cut(strings.TrimSpace(q.Get(name)), 255)
		names = append(names, name)
		set = set || f.Fields[i].Value != ""
	}
	f.Keep = keep(q, names...)
	if set {
		rest := url.Values{}
		for _, p := range f.Keep {
			rest.Set(p.Key.(string), p.Value.(string))
		}
		f.Clear = r.URL.Path + "?" + rest.Encode()
	}
	return f
}

// value is what a field holds.
func (f *filter) value(name string) string {
	for _, x := range f.Fields {
		if x.Name == name {
			return x.Value
		}
	}
	return ""
}

// bad marks a field and says why; the first reason stays.
func (f *filter) bad(name string, err error) {
	for i := range f.Fields {
		if f.Fields[i].Name == name {
			f.Fields[i].Bad = true
		}
	}
	f.fault(err)
}

func (f *filter) fault(err error) {
	if err != nil && f.Error == "" {
		f.Error = said(err)
	}
}

// paging leads from page to page of a long list.
type paging struct {
	Older, Newest         string // addresses
	OlderName, NewestName string
	Shown                 string
}

// pageRows is how many rows a list shows at once.
const pageRows = 100

// newPaging makes the links; last is the row that this page ended on.
func newPaging(r *http.Request, shown int, full bool, last store.Cursor) paging {
	q := r.URL.Query()
	p := paging{Shown: plural(shown, "row", "rows"), OlderName: "Older", NewestName: "Newest"}
	older := q.Get("before") != ""
	if older {
		q.Del("before")
		p.Newest = "?" + q.Encode()
	}
	if full {
		q.Set("before", strconv.FormatInt(last.Time.UnixMicro(), 10)+"."+strconv.FormatInt(last.ID, 10))
		p.Older = "?" + q.Encode()
	}
	return p
}

// cursor reads the parameter "before".
func cursor(r *http.Request) (store.Cursor, error) {
	s := r.URL.Query().Get("before")
	if s == "" {
		return store.Cursor{}, nil
	}
	micros, id, _ := strings.Cut(s, ".")
	t, err1 := strconv.ParseInt(micros, 10, 64)
	n, err2 := strconv.ParseInt(id, 10, 64)
	if err1 != nil || err2 != nil || t < 0 || t > 1<<53 {
		return store.Cursor{}, errs.New(errs.Invalid, "the place in the list is damaged; begin with its newest page")
	}
	return store.Cursor{Time: time.UnixMicro(t).UTC(), ID: n}, nil
}

// alert is something that needs a person; "well" says that nothing does.
type alert struct {
	Level        string // "bad", "warn" or "well"
	Word, Text   string
	Link, Action string
}

// rank sorts the worst first.
func (a alert) rank() int {
	if a.Level == "bad" {
		return 0
	}
	return 1
}

// figure is a number with its name.
type figure struct {
	Name, Value, Of string
	Bad             bool
}

// namedMost is how many names a sentence has.
const namedMost = 5

// list joins names for a sentence, cutting a long list: "a, b and 3 more".
func list(names []string, most int) string { return listOf(names, len(names), most) }

// listOf is list for the first of total names.
func listOf[T ~string](names []T, total, most int) string {
	var said []string
	for _, name := range names[:min(len(names), most)] {
		said = append(said, ui.Visible(string(name)))
	}
	text := strings.Join(said, ", ")
	if more := total - len(said); more > 0 {
		text += " and " + ui.Count(more) + " more"
	}
	return text
}

// plural writes a count with its noun.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return ui.Count(n) + " " + many
}
