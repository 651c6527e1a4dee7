package store

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network"
)

// where builds a condition with parameters in order of appearance.
type where struct {
	sql  strings.Builder
	args []any
}

// and adds a condition; each ? in it is a parameter.
func (w *where) and(condition string, args ...any) {
	if w.sql.Len() == 0 {
		w.sql.WriteString(" WHERE ")
	} else {
		w.sql.WriteString(" AND ")
	}
	w.add(condition, args...)
}

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

// page adds range, place and limit of a list that is sorted by a column of
// time and by id, from new to old.
func (w *where) page(column string, from, to time.Time, before Cursor, limit int) {
	w.and(column+" >= ? AND "+column+" < ?", from.UnixMicro(), to.UnixMicro())
	if !before.Time.IsZero() {
		w.and("("+column+", id) < (?, ?)", before.Time.UnixMicro(), before.ID)
	}
	w.add(" ORDER BY "+column+" DESC, id DESC LIMIT ?", bounded(limit))
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
		a := database.Addr16(p.Addr())
		w.and("("+one+" = ? OR "+other+" = ?)", a, a)
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
