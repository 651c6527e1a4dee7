package tap

import (
	"sync/atomic"
	"time"

	"github.com/rind-project/rind/internal/network/capture"
)

// use is how much a worker has of what it can have: of its ring, and of its
// time. The worker writes it, others read it.
type use struct {
	used  atomic.Uint64 // bytes of the ring that wait
	peak  atomic.Uint64 // the most since the ring was made
	high  atomic.Uint64 // the most since the last report
	full  atomic.Uint64 // times that the ring was full
	fulls uint64        // of the rings before this one

	began  atomic.Int64 // when the ring was made, in ns since 1970; 0 is none
	waited atomic.Int64 // ns since then that the worker waited for packets
}

// open notes that there is another ring.
func (u *use) open() {
	u.fulls = u.full.Load()
	u.used.Store(0)
	u.peak.Store(0)
	u.waited.Store(0)
	u.began.Store(time.Now().UnixNano())
}

// close notes that there is none.
func (u *use) close() {
	u.used.Store(0)
	u.began.Store(0)
}

// note takes over what the source says.
func (u *use) note(st capture.Stats) {
	u.used.Store(st.RingUsed)
	u.peak.Store(max(u.peak.Load(), st.RingUsed))
	u.high.Store(max(u.high.Load(), st.RingUsed))
	u.full.Store(u.fulls + st.Freezes)
	u.waited.Store(int64(st.Waited))
}

// busy is the share of its time that the worker worked.
func (u *use) busy() float64 {
	began := u.began.Load()
	if began == 0 {
		return 0
	}
	all := time.Now().UnixNano() - began
	if all <= 0 {
		return 0
	}
	return min(max(1-float64(u.waited.Load())/float64(all), 0), 1)
}
