package bus

import (
	"context"
	"time"
)

// Patience is how long a start waits for the streams to answer: an election
// after the death of a server takes up to ten seconds, and may be held again.
const Patience = time.Minute

// Patiently tries again while the failure is a passing one, for as long as
// Patience.
func Patiently(ctx context.Context, try func() error) error {
	for began := time.Now(); ; {
		err := try()
		if err == nil || !Passing(err) || time.Since(began) > Patience || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(250 * time.Millisecond):
		}
	}
}
