package record

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/network"
)

// Text is what stands in a cell for people; "" when there is nothing. It holds
// bytes of packets: whoever shows it escapes it.
func (r Row) Text(c *Column) string {
	switch v := r.Cell(c); c.Type {
	case Time:
		if t := *At[time.Time](r, c); !t.IsZero() {
			return t.UTC().Format(time.RFC3339Nano)
		}
	case Duration:
		if d := *At[time.Duration](r, c); d != 0 {
			return d.String()
		}
	case Addr:
		if a := *At[netip.Addr](r, c); a.IsValid() {
			return a.String()
		}
	case MAC:
		return At[network.MAC](r, c).String()
	case Text:
		return v.String()
	case List:
		return strings.Join(*At[[]string](r, c), ", ")
	case Bool:
		if v.Bool() {
			return "yes"
		}
	case Uint:
		return strconv.FormatUint(v.Uint(), 10)
	case Int:
		return strconv.FormatInt(v.Int(), 10)
	}
	return ""
}
