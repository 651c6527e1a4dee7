package parse

// Share is how many rows of a call were another parser's.
type Share struct {
	Name       string
	Rows, Over uint64
}

// As says whose the rows are that are added from now on in this call, by the
// parser's name: one that keeps the rows of several protocols until a report
// is closed tells them apart.
func (o *Out) As(name string) {
	for i := range o.shares {
		if o.shares[i].Name == name {
			o.whose = i + 1
			return
		}
	}
	o.shares = append(o.shares, Share{Name: name})
	o.whose = len(o.shares)
}

// Shares returns what was said with As in this call, and ends it. The list is
// valid until the next one.
func (o *Out) Shares() []Share {
	all := o.shares
	o.shares, o.whose = o.shares[:0], 0
	return all
}
