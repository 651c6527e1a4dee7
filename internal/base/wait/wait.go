// Package wait waits for a time, or for the end of a context.
package wait

import (
	"context"
	"time"
)

// For waits, and reports false when the context has ended meanwhile.
func For(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
