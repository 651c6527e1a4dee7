package peel

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(2)
		open := make(chan struct{})
		var running, most, ran atomic.Int32
		work := func() {
			most.Store(max(most.Load(), running.Add(1)))
			<-open
			running.Add(-1)
			ran.Add(1)
		}
		for n := range 2 + maxWaiting {
			if !q.add(false, work) {
				t.Fatalf("job %d was refused", n)
			}
		}
		if q.add(false, work) {
			t.Error("one more than the limit was taken")
		}
		// Those that only read have their own workers, though the queue is full.
		for n := range readWorkers {
			if !q.add(true, work) {
				t.Errorf("reading job %d was refused", n)
			}
		}
		if q.add(true, work) {
			t.Error("a reading job was queued over the limit")
		}
		synctest.Wait()
		if n := running.Load(); n != 2+readWorkers {
			t.Errorf("%d run at the same time", n)
		}
		close(open)
		q.close()
		q.wait()
		if n := ran.Load(); n != 2+maxWaiting+readWorkers {
			t.Errorf("%d ran", n)
		}
		if q.add(false, work) {
			t.Error("a closed queue takes jobs")
		}
	})
}

func TestStartWithoutAnIdentity(t *testing.T) {
	t.Parallel()
	p := New(Config{}, Deps{})
	if err := p.Start(t.Context()); err == nil {
		t.Error("it started")
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Errorf("stop without start: %v", err)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	p := New(Config{}, Deps{})
	if p.cfg.Facts.Interval != 5*time.Minute || p.cfg.Workers < 1 {
		t.Errorf("%+v", p.cfg)
	}
	// 100 B/s at most: the subject, the payload and the protocol's words.
	if perBeat := len("PUB hb. 999\r\n\r\n") + 63 + 100; float64(perBeat)/p.cfg.Heartbeat.Seconds() > 100 {
		t.Errorf("a heartbeat of %d bytes each %s is too much", perBeat, p.cfg.Heartbeat)
	}
}
