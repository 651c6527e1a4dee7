package tap

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/rind-project/rind/internal/network"
)

// health fills in what the pipelines do not know.
func (w *writer) health(h *network.Health) {
	st := w.Spool.Stats()
	h.Version = w.Version
	h.CPUSeconds = cpuSeconds()
	h.MemoryBytes = residentBytes()
	if !st.Oldest.IsZero() {
		h.SpoolAge = max(time.Since(st.Oldest), 0)
	}
	h.SpoolReports, h.SpoolBytes, h.SpoolDropped = st.Reports, st.Bytes, st.Dropped+w.lost
}

// cpuSeconds is the user and system time of this process.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(u.Utime) + seconds(u.Stime)
}

// residentBytes is the memory of this process: the second number of
// /proc/self/statm, in pages (proc(5)), else what the Go runtime has taken.
func residentBytes() uint64 {
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		if f := bytes.Fields(b); len(f) > 1 {
			if pages, err := strconv.ParseUint(string(f[1]), 10, 64); err == nil {
				return pages * uint64(os.Getpagesize())
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys
}
