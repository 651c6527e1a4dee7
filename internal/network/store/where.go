package store

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network"
)

// where builds the text of a statement with parameters in order of appearance,
// and gathers the conditions of a list.
type where struct {
	sql   strings.Builder
	args  []any
	conds []cond
	host  []byte // an address that stands in one of two columns
	ends  [2]string
}

// cond is a condition; each ? in it is a parameter.
type cond struct {
	text string
	args []any
}

// and adds a condition of a list; each ? in it is a parameter.
func (w *where) and(condition string, args ...any) {
	w.conds = append(w.conds, cond{condition, args})
}

// add adds to the text; each ? in it is a parameter.
func (w *where) add(text string, args ...any) {
	for {
		before, after, found := strings.Cut(text, "?")
		w.sql.WriteString(before)
		if !found {
			break
		}
		w.args = append(w.args, args[0])
		args = args[1:]
		fmt.Fprintf(&w.sql, "$%d", len(w.args))
		text = after
	}
}

func (w *where) tap(tap network.TapID) {
	if tap != "" {
		w.and("tap = ?", string(tap))
	}
}

// addr asks that one of two columns lies in a subnet.
func (w *where) addr(p netip.Prefix, one, other string) {
	if !p.IsValid() {
		return
	}
	if p.IsSingleIP() {
		w.host, w.ends = database.Addr16(p.Addr()), [2]string{one, other}
		return
	}
	first, last := database.PrefixRange(p)
	w.and("("+one+" BETWEEN ? AND ? OR "+other+" BETWEEN ? AND ?)", first, last, first, last)
}

// name asks for a name; "*" stands for anything, and a leading "." for every
// name below.
func (w *where) name(column, name string) {
	if condition, value := named(column, name); condition != "" {
		w.and(condition, value)
	}
}

// either asks for a name in one of two columns.
func (w *where) either(one, other, name string) {
	if condition, value := named(one, name); condition != "" {
		second, _ := named(other, name)
		w.and("("+condition+" OR "+second+")", value, value)
	}
}

// named is the condition for a name and its parameter, or "".
func named(column, name string) (condition, value string) {
	name = strings.TrimSuffix(strings.ToLower(database.Text(name)), ".")
	if strings.HasPrefix(name, ".") {
		name = "*" + name
	}
	switch {
	case name == "":
		return "", ""
	case strings.Contains(name, "*"):
		like := strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`, "*", "%").Replace(name)
		return column + ` LIKE ? ESCAPE '\'`, like
	}
	return column + " = ?", name
}
