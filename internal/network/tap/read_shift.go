package tap

import (
	"time"

	"github.com/rind-project/rind/internal/network"
)

// shift moves every time in a report.
func shift(r *network.Report, by time.Duration) {
	move := func(t *time.Time) {
		if !t.IsZero() {
			*t = t.Add(by)
		}
	}
	move(&r.Start)
	move(&r.End)
	for i := range r.Flows {
		move(&r.Flows[i].Start)
		move(&r.Flows[i].End)
	}
	for i := range r.DNS {
		move(&r.DNS[i].Time)
	}
	for i := range r.TLS {
		move(&r.TLS[i].Time)
	}
}
