package flow_test

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
)

// threadTime is the CPU time of this thread alone.
func threadTime(t *testing.T) time.Duration {
	var ts unix.Timespec // of rusage the kernel gives ticks of milliseconds
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// TestReassemblyIsLinear cuts datagrams of n, 2n and 4n bytes into fragments
// of 8, the last one first, which is the hardest that can be asked.
func TestReassemblyIsLinear(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cost := func(n int) time.Duration {
		parts := packettest.Fragments(whole(false, n-8).Bytes(), 8, 3)
		best := time.Duration(1<<63 - 1)
		for range 5 {
			fr := flow.NewFragments()
			var d packet.Decoder
			var p packet.Packet
			var began time.Duration
			for round := range 4 { // the first makes the memory
				if round == 1 {
					began = threadTime(t)
				}
				for i := len(parts) - 1; i >= 0; i-- {
					d.Decode(packet.LinkEthernet, parts[i], len(parts[i]), &p)
					fr.Assign(&p)
				}
			}
			best = min(best, threadTime(t)-began)
			if fr.Stats().Whole != 4 {
				t.Fatalf("%+v", fr.Stats())
			}
		}
		return best
	}
	n, n4 := cost(15_000), cost(60_000)
	if n4 > 12*n {
		t.Errorf("15,000 bytes take %v, 60,000 take %v", n, n4)
	}
}
