package tap

import (
	"path/filepath"
	"testing"
)

// TestMemoryIsShort: `process` is what docs/tuning.md adds up, rings most of all,
// and less when they are made smaller, while the tap runs.
func TestMemoryIsShort(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const small = "interfaces: [lo]\nreport: {interval: 200ms}\nflow: {max_flows: 16384}\ncapture: {ring_bytes: 8MiB}\n"
	r := startTap(t, filepath.Join(dir, "data"), filepath.Join(dir, "tap.yaml"), small)
	const most = 8<<20 + 220*16384 + 50<<20
	r.want("a small tap is small", func(s *Status) bool { return len(s.captured()) == 1 && s.Memory > 1<<20 && s.Memory < most })
	r.write("interfaces: [lo]\nreport: {interval: 200ms}\nflow: {max_flows: 16384}\ncapture: {ring_bytes: 96MiB, workers: 2}\n")
	r.want("process grows with the rings", func(s *Status) bool {
		return len(s.captured()) == 1 && s.Interfaces[0].RingBytes == 192<<20 && s.Memory > 192<<20 && s.Memory < 184<<20+most
	})
	r.write(small)
	r.want("process shrinks with them", func(s *Status) bool { return s.Interfaces[0].RingBytes == 8<<20 && s.Memory < most })
	r.stop()
}
