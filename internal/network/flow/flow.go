// Package flow keeps the flow table: who talked to whom, how much, and how the
// conversation stands.
package flow

import "time"

// Timeouts are how long a flow may be silent before it has ended.
type Timeouts struct {
	TCP    time.Duration // established connections (5 min)
	Closed time.Duration // TCP after both FINs or a RST (5 s)
	UDP    time.Duration // (60 s)
	Other  time.Duration // ICMP, other protocols, TCP without a completed handshake (30 s)
}
