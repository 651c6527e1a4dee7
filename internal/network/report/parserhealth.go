package report

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rind-project/rind/internal/network"
)

const (
	fieldHealthParsers = 10 // of the health message; repeated
	maxParsers         = 128
)

// appendParsers appends what the parsers did: 1 name, 2 recognised,
// 3 transactions, 4 left out, 5 malformed, 6 panics, 7 given up.
func (e *Encoder) appendParsers(b []byte, list []network.ParserHealth) []byte {
	for i := range list[:min(len(list), maxParsers)] {
		p := &list[i]
		m := appendString(nil, 1, clean(p.Name, e.names.max))
		for k, v := range [...]uint64{p.Recognised, p.Transactions, p.LeftOut, p.Malformed, p.Panics, p.GivenUp} {
			m = appendUint(m, protowire.Number(k+2), v)
		}
		b = protowire.AppendTag(b, fieldHealthParsers, protowire.BytesType)
		b = protowire.AppendBytes(b, m)
	}
	return b
}

// parserHealth reads one of them.
func (p *parser) parserHealth(b []byte) error {
	h := &p.out.Health
	if len(h.Parsers) >= maxParsers {
		return tooLarge("more than %d parsers", maxParsers)
	}
	var out network.ParserHealth
	err := fields(b, func(n protowire.Number, v uint64, b []byte) (err error) {
		switch n {
		case 1:
			out.Name, err = p.text(b)
		case 2, 3, 4, 5, 6, 7:
			*[...]*uint64{&out.Recognised, &out.Transactions, &out.LeftOut, &out.Malformed, &out.Panics, &out.GivenUp}[n-2] = v
		}
		return err
	})
	h.Parsers = append(h.Parsers, out)
	return err
}
