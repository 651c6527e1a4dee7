package managed

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/lifecycle"
	"github.com/rind-project/rind/internal/fleet"
)

// Every is how often addresses of managed hosts are asked for anew.
const Every = 15 * time.Second

// Memory knows what the master in its own process knows. It asks now and then,
// since it is asked itself for both ends of every flow. Use NewMemory.
type Memory struct {
	names
	ask   func() map[netip.Addr]fleet.PeelID
	every time.Duration

	stop    context.CancelFunc
	working sync.WaitGroup
}

var _ lifecycle.Component = (*Memory)(nil)

// NewMemory makes one that asks so often.
func NewMemory(ask func() map[netip.Addr]fleet.PeelID, every time.Duration, reg prometheus.Registerer) *Memory {
	m := &Memory{ask: ask, every: every}
	m.observe(reg)
	return m
}

// Start asks, and goes on in the background.
func (m *Memory) Start(context.Context) error {
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	m.working.Go(func() {
		tick := time.NewTicker(m.every)
		defer tick.Stop()
		for {
			m.set(m.ask(), time.Now())
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	return nil
}

// Stop ends it.
func (m *Memory) Stop(context.Context) error {
	if m.stop != nil {
		m.stop()
		m.working.Wait()
	}
	return nil
}
