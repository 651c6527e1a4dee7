package peel

import "time"

// again calls fn in d, and from then on after each pause that fn returns,
// until the peel is stopped. Nothing but a timer waits in between, so that a
// peel costs no goroutine for what it does now and then. The timer can be set
// off early.
func (r *running) again(d time.Duration, fn func() time.Duration) *time.Timer {
	var t *time.Timer
	armed := make(chan struct{})
	t = time.AfterFunc(d, func() {
		<-armed
		if !r.enter() {
			return
		}
		defer r.wg.Done()
		t.Reset(fn())
	})
	close(armed)
	return t
}

// enter counts something that runs, and reports false when nothing is to be
// begun any more.
func (r *running) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.ctx.Err() != nil {
		return false
	}
	r.wg.Add(1)
	return true
}
