// Package capture gets packets: from an interface through an AF_PACKET
// TPACKET_V3 ring, or from pcap and pcapng files. A Source is read by one
// goroutine in a pull loop, so that whoever owns the loop also owns what the
// packets are put into, without a lock or a channel per packet.
package capture

import (
	"time"

	"github.com/rind-project/rind/internal/network/packet"
)

// Handler takes packets. data is only valid during the call and may lie in
// memory shared with the kernel. ts is nanoseconds since 1970; wireLen is the
// length on the wire, which data can fall short of.
type Handler interface {
	Packet(ts int64, link packet.LinkType, data []byte, wireLen int)
}

// Stats counts since the source was opened. For an interface, Received is
// what the kernel saw for this socket, past the filter, and includes Dropped;
// what is neither dropped nor read waits in the ring.
type Stats struct {
	Received uint64
	Read     uint64        // handed over
	Filtered uint64        // records of a file that its filter left out; an interface's are not counted
	Joined   uint64        // frames larger than the interface sends: segments joined by GRO, LRO or TSO
	Dropped  uint64        // no room in the ring
	Freezes  uint64        // times the ring was full
	RingSize uint64        // bytes; 0 for a file
	RingUsed uint64        // bytes of the ring that are filled and not read yet
	Waited   time.Duration // for packets, in Read
}

// Source is where packets come from.
type Source interface {
	// Name is the interface's name or the file's path.
	Name() string
	// Read hands one batch of packets to h and returns how many there were.
	// It waits at most wait for the first. The end of a file is io.EOF.
	// After any other error the source gives nothing more.
	Read(h Handler, wait time.Duration) (int, error)
	// Stats may be called by the goroutine that calls Read.
	Stats() (Stats, error)
	// Close releases the source; Read must not be running.
	Close() error
}
