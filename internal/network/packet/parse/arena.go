package parse

import "strings"

const (
	textChunk = 64 << 10 // bytes of texts that are reserved at once
	listChunk = 1024     // elements of lists, likewise
)

// arena holds the texts and lists of one report, which go together. Without it
// each would be an allocation of its own.
type arena struct {
	text  *strings.Builder
	lists []string
}

// clear begins a new report; what there is belongs to the one before.
func (a *arena) clear() { *a = arena{} }

// string copies b.
func (a *arena) string(b []byte) string {
	if a.text == nil || a.text.Cap()-a.text.Len() < len(b) {
		a.text = &strings.Builder{}
		a.text.Grow(max(textChunk, len(b)))
	}
	at := a.text.Len()
	a.text.Write(b)
	return a.text.String()[at:]
}

// append is the built-in append with memory of the arena's.
func (a *arena) append(list []string, s string) []string {
	if len(list) < cap(list) {
		return append(list, s)
	}
	n := max(2, 2*len(list))
	if cap(a.lists)-len(a.lists) < n {
		a.lists = make([]string, 0, max(listChunk, n))
	}
	at := len(a.lists)
	a.lists = a.lists[:at+n]
	grown := a.lists[at : at : at+n]
	return append(append(grown, list...), s)
}
