package parse

import "time"

// Cutter is a parser that keeps rows, or conversations that wait for an
// answer, until a report is closed: what stands once in a report with a count,
// and what waited too long. Cut is called before Out.Cut, with the report's
// end, and puts them into out; last says that no further report follows, so
// nothing may be left.
type Cutter interface {
	Cut(out *Out, end time.Time, last bool)
}

// Overflown reports whether a text found no room since this was last asked or a
// row was added, and forgets it. A parser whose row is added later, or whose
// texts belong to no row, asks, so that the loss is not another's.
func (o *Out) Overflown() bool {
	over := o.text.overflown()
	o.text.forgive()
	return over
}
