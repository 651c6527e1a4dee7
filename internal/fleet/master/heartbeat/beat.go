package heartbeat

import (
	"context"
	"encoding/json"
	"time"

	"github.com/rind-project/rind/internal/fleet/bus"
)

// Run says that this master lives, until ctx ends, and then says that. As soon
// as the name is its own it calls named, once.
func (s *Masters) Run(ctx context.Context, named func()) {
	told := false
	for n := 1; ; n++ {
		if err := s.beat(ctx, n); err != nil && ctx.Err() == nil {
			s.deps.Log.Warn("cannot write this master's heartbeat", "error", err)
		}
		for wait := time.Now().Add(beatEvery); time.Now().Before(wait); {
			if !told && s.Named() {
				told = true
				named()
			}
			step := time.Until(wait)
			if !told {
				step = min(step, 50*time.Millisecond)
			}
			select {
			case <-time.After(step):
			case <-ctx.Done():
				s.leave(context.WithoutCancel(ctx))
				return
			}
		}
	}
}

func (s *Masters) beat(ctx context.Context, n int) error {
	b := s.mine
	b.At, b.Beat = time.Now().UTC(), n
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err = s.deps.JS.Publish(ctx, "$KV."+bus.MasterHeartbeat+"."+s.key, text)
	return bus.Explain(bus.MasterHeartbeat, err)
}

// leave takes this master's heartbeat away, so that another one takes up its
// jobs at once. Without it that takes some seconds more.
func (s *Masters) leave(ctx context.Context) {
	s.mu.Lock()
	lost := s.lost
	s.mu.Unlock()
	if lost {
		return // what stands there is another one's
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	kv, err := s.deps.JS.KeyValue(ctx, bus.MasterHeartbeat)
	if err == nil {
		err = kv.Delete(ctx, s.key)
	}
	if err != nil {
		s.deps.Log.Warn("cannot tell the other masters that this one ends; they notice within ten seconds", "error", err)
	}
}
