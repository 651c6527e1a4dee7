//go:build !linux

package parsetest

import "time"

var began = time.Now()

// threadTime is wall time: only Linux tells a thread's.
func threadTime() time.Duration { return time.Since(began) }
