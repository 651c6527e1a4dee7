package pipeline_test

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
	"github.com/rind-project/rind/internal/network/pipeline"
)

// cpuTime is the process's CPU time, user and system, which says more than
// wall time on a machine that does other things too.
func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPipeline puts a mix of traffic through everything, with a report
// every 10 seconds of its time. ns/op and allocs/op are per packet.
func BenchmarkPipeline(b *testing.B) {
	mix := packettest.Mix(42, 200_000)
	total := 0
	for _, f := range mix {
		total += len(f.Data)
	}
	p := pipeline.New(pipeline.Config{Interface: "bench"})
	cpu := cpuTime(b)
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
	b.SetBytes(int64(total / len(mix)))
	b.ReportMetric(float64(cpuTime(b)-cpu)/float64(b.N), "cpu-ns/packet")
	b.ReportMetric(float64(flows), "flows")
	if r := p.Finish(p.Latest()); !r.Interfaces[0].Balanced() {
		b.Errorf("ledger %+v", r.Interfaces[0])
	}
}

// BenchmarkReadFile reads the same mix from a pcap file in memory; ns/op is
// for the whole file, and the metric is per packet.
func BenchmarkReadFile(b *testing.B) {
	mix := packettest.Mix(42, 200_000)
	le := binary.LittleEndian
	file := le.AppendUint32(nil, 0xa1b23c4d)
	for _, v := range []uint32{2 | 4<<16, 0, 0, 65535, 1} {
		file = le.AppendUint32(file, v)
	}
	for _, f := range mix {
		n := uint32(len(f.Data))
		for _, v := range []uint32{uint32(f.Time / 1e9), uint32(f.Time % 1e9), n, n} {
			file = le.AppendUint32(file, v)
		}
		file = append(file, f.Data...)
	}
	p := pipeline.New(pipeline.Config{}) // Finish leaves it empty
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	cpu := cpuTime(b)
	for b.Loop() {
		f, err := capture.NewFile(bytes.NewReader(file), "bench", capture.FileOptions{Window: 10 * time.Second})
		if err != nil {
			b.Fatal(err)
		}
		received := uint64(0)
		err = pipeline.ReadFile(b.Context(), f, p, func(r network.Report) error {
			received += r.Interfaces[0].Received
			return nil
		})
		if err != nil || received != uint64(len(mix)) {
			b.Fatalf("%v, %d packets", err, received)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(mix)), "ns/packet")
	b.ReportMetric(float64(cpuTime(b)-cpu)/float64(b.N*len(mix)), "cpu-ns/packet")
}
