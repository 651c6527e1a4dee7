package pipeline_test

import (
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
	"github.com/rind-project/rind/internal/network/pipeline"
)

// BenchmarkPipeline puts a mix of traffic through everything, with a report
// every 10 seconds of its time. ns/op and allocs/op are per packet.
func BenchmarkPipeline(b *testing.B) {
	mix := packettest.Mix(42, 200_000)
	bytes := 0
	for _, f := range mix {
		bytes += len(f.Data)
	}
	p := pipeline.New(pipeline.Config{Interface: "bench"})
	span := mix[len(mix)-1].Time - mix[0].Time + 1
	shift, next, flows := int64(0), mix[0].Time+int64(10*time.Second), 0
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		k := i % len(mix)
		if k == 0 && i > 0 {
			shift += span
		}
		f := &mix[k]
		ts := f.Time + shift
		if ts >= next {
			flows += len(p.Cut(time.Unix(0, next)).Flows)
			next += int64(10 * time.Second)
		}
		p.Packet(ts, packet.LinkEthernet, f.Data, len(f.Data))
	}
	b.StopTimer()
	b.SetBytes(int64(bytes / len(mix)))
	b.ReportMetric(float64(flows), "flows")
	if r := p.Finish(p.Latest()); !r.Interfaces[0].Balanced() {
		b.Errorf("ledger %+v", r.Interfaces[0])
	}
}
