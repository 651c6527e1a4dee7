package reporttest

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/record"
)

// fill puts n rows of every kind into a report, with every column filled: the
// columns are found as everything that treats all kinds alike finds them.
func (g generator) fill(r *network.Records, n int) {
	for _, k := range record.Kinds() {
		rows := k.Rows(r)
		rows.Make(n)
		for i := range n {
			for c := range k.Columns {
				g.cell(rows.Row(i), &k.Columns[c])
			}
		}
	}
}

func (g generator) cell(row record.Row, c *record.Column) {
	switch v := row.Cell(c); c.Type {
	case record.Time:
		*record.At[time.Time](row, c) = g.time()
	case record.Duration:
		*record.At[time.Duration](row, c) = time.Duration(1+g.IntN(90_000)) * time.Microsecond
	case record.Addr:
		client := g.client()
		*record.At[netip.Addr](row, c) = client
	case record.MAC:
		*record.At[network.MAC](row, c) = network.MAC{2, 0, 0, 0, 0, byte(1 + g.IntN(64))}
	case record.Text:
		v.SetString(fmt.Sprintf("%s-%d", c.Name, g.IntN(20)))
	case record.List:
		list := make([]string, 1+g.IntN(3))
		for i := range list {
			list[i] = g.name()
		}
		*record.At[[]string](row, c) = list
	case record.Bool:
		v.SetBool(true)
	case record.Uint:
		v.SetUint(1 + uint64(g.IntN(200)))
	case record.Int:
		v.SetInt(-int64(1 + g.IntN(100)))
	default:
		panic("reporttest: nothing fills a column of type " + c.Type.String())
	}
}
