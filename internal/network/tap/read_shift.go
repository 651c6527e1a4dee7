package tap

import (
	"context"
	"os"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/record"
)

// untilNow is how far a capture has to be moved so that its latest packet is
// of now. Of what can be read once only (a pipe) that is not known: 0.
func untilNow(ctx context.Context, path string) (time.Duration, error) {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return 0, err
	}
	f, err := capture.OpenFile(ctx, path, capture.FileOptions{})
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var latest latestPacket
	for err == nil && ctx.Err() == nil {
		_, err = f.Read(&latest, 0) // a damaged end is told when it is read in earnest
	}
	if latest == 0 {
		return 0, ctx.Err()
	}
	return time.Since(time.Unix(0, int64(latest))), ctx.Err()
}

// latestPacket is the time of the latest packet, in nanoseconds since 1970.
type latestPacket int64

// Packet looks at the time only.
func (l *latestPacket) Packet(ts int64, _ packet.LinkType, _ []byte, _ int) {
	*l = max(*l, latestPacket(ts))
}

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
	record.EachTime(&r.Records, move)
}
