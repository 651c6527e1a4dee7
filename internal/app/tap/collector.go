package tap

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// headroom is how much a tap allocates between two runs of the collector. A
	// percentage would give little room to a small heap, which is then collected
	// over and over, and much to a large one.
	headroom = 24 << 20

	leastPercent = 20  // of what lives: a large heap is not collected all the time
	mostPercent  = 500 // the runtime takes this of 4 MiB, before the first collection
)

// tuneCollector has the collector run whenever so much as headroom was
// allocated, unless the environment says otherwise.
func tuneCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(mostPercent)
		afterCollection()
	}
}

// afterCollection sets the percentage anew once the next collection is over:
// by then the object that it makes is gone.
func afterCollection() {
	gone := new(*byte) // a pointer, so that it shares no block with others
	runtime.AddCleanup(gone, func(struct{}) {
		debug.SetGCPercent(percentFor(liveBytes()))
		afterCollection()
	}, struct{}{})
}

// percentFor is the percentage of so many bytes that is the headroom.
func percentFor(live uint64) int {
	return int(min(max(100*headroom/max(live, 1), leastPercent), mostPercent))
}

// liveBytes is what the last collection left.
func liveBytes() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
