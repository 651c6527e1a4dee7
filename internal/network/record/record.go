// Package record reads, once, what the kinds of network.Records are: their
// names, their columns in order and what stands in each. The codec, the
// tables, the API, the commands and the pages treat all kinds alike by it.
//
// A column is a field of the kind's struct, those of embedded structs among
// them. Its name is that of its JSON form. Its key names it in tables and as a
// filter: the name, with the kind in front where the name means something else
// there ("mail_from").
package record

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/network"
)

// Type is what a column holds.
type Type uint8

// The types.
const (
	Time Type = iota
	Duration
	Addr
	MAC
	Text
	List
	Bool
	Uint
	Int
)

var typeNames = [...]string{"time", "duration", "address", "mac", "text", "list", "bool", "uint", "int"}

// String is the type's name in documents and in the API.
func (t Type) String() string { return typeNames[t] }

// MarshalText writes the type's name.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads a type's name. One that is not known is text.
func (t *Type) UnmarshalText(b []byte) error {
	*t = Text
	if i := slices.Index(typeNames[:], string(b)); i >= 0 {
		*t = Type(i)
	}
	return nil
}

// MaxList is how many elements a list keeps.
const MaxList = 16

// Column is one field of a kind.
type Column struct {
	Name   string // in JSON
	Key    string // in tables, and as a filter
	Doc    string
	Type   Type
	Bits   int // of Uint and Int
	Filter bool
	index  []int
}

// Kind is one list of network.Records.
type Kind struct {
	Name    string
	Doc     string
	Columns []Column
	field   int // of network.Records
	row     reflect.Type
}

// Kinds returns all kinds in the order of network.Records. They are shared:
// nobody changes them.
func Kinds() []*Kind { return all() }

var all = sync.OnceValue(read)

// Find returns the kind of a name.
func Find(name string) (*Kind, bool) {
	for _, k := range Kinds() {
		if k.Name == name {
			return k, true
		}
	}
	return nil, false
}

// Named returns the column that has a name, or nil.
func (k *Kind) Named(name string) *Column {
	for i := range k.Columns {
		if k.Columns[i].Name == name {
			return &k.Columns[i]
		}
	}
	return nil
}

// Filters returns the columns that lists can be filtered by.
func (k *Kind) Filters() []*Column {
	var out []*Column
	for i := range k.Columns {
		if k.Columns[i].Filter {
			out = append(out, &k.Columns[i])
		}
	}
	return out
}

// Size is the memory of one row in bytes, without its texts and lists.
func (k *Kind) Size() int { return int(k.row.Size()) }

// taken are the names that mean something else where a column's key stands:
// columns that every table has, and parameters that every list takes.
var taken = []string{"id", "tap", "from", "to", "limit", "before", "range"}

func read() []*Kind {
	t := reflect.TypeFor[network.Records]()
	var out []*Kind
	for i := range t.NumField() {
		f := t.Field(i)
		k := Of(jsonName(f), f.Tag.Get("doc"), f.Type.Elem())
		k.field = i
		out = append(out, k)
	}
	return out
}

// Of reads the columns of a struct that is no list of network.Records, and
// that is to be treated like one.
func Of(name, doc string, row reflect.Type) *Kind {
	k := &Kind{Name: name, Doc: doc, row: row}
	k.columns(row, nil)
	return k
}

func (k *Kind) columns(t reflect.Type, at []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(slices.Clone(at), i)
		if f.Anonymous {
			k.columns(f.Type, index)
			continue
		}
		c := Column{Name: jsonName(f), Doc: f.Tag.Get("doc"), Filter: f.Tag.Get("filter") == "true", index: index}
		c.Type, c.Bits = typeOf(f.Type)
		if c.Key = c.Name; slices.Contains(taken, c.Name) {
			c.Key = k.Name + "_" + c.Name
		}
		k.Columns = append(k.Columns, c)
	}
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

func typeOf(t reflect.Type) (Type, int) {
	switch t {
	case reflect.TypeFor[time.Time]():
		return Time, 0
	case reflect.TypeFor[time.Duration]():
		return Duration, 0
	case reflect.TypeFor[netip.Addr]():
		return Addr, 0
	case reflect.TypeFor[network.MAC]():
		return MAC, 0
	case reflect.TypeFor[[]string]():
		return List, 0
	}
	switch t.Kind() {
	case reflect.String:
		return Text, 0
	case reflect.Bool:
		return Bool, 0
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return Uint, t.Bits()
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return Int, t.Bits()
	}
	panic("record: a column cannot be of type " + t.String())
}
