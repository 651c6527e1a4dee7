package server

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rind-project/rind/internal/base/lifecycle"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/network"
)

// hostsEvery is how often the addresses of managed hosts are read anew.
const hostsEvery = 15 * time.Second

// hosts tells the node which managed host has an address. It asks the master
// in its own process now and then, since it is asked for both ends of every
// flow.
type hosts struct {
	read  func() map[netip.Addr]fleet.PeelID
	every time.Duration

	known   atomic.Pointer[map[netip.Addr]fleet.PeelID]
	stop    context.CancelFunc
	working sync.WaitGroup
}

var _ lifecycle.Component = (*hosts)(nil)

func newHosts(read func() map[netip.Addr]fleet.PeelID, every time.Duration) *hosts {
	return &hosts{read: read, every: every}
}

// Start reads the addresses, and goes on in the background.
func (h *hosts) Start(context.Context) error {
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	h.working.Go(func() {
		tick := time.NewTicker(h.every)
		defer tick.Stop()
		for {
			known := h.read()
			h.known.Store(&known)
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
func (h *hosts) Stop(context.Context) error {
	if h.stop != nil {
		h.stop()
		h.working.Wait()
	}
	return nil
}

// name is the host that has an address, or "". Which tap saw it makes no
// difference: an address that several hosts have is of none.
func (h *hosts) name(_ network.TapID, addr netip.Addr) string {
	known := h.known.Load()
	if known == nil {
		return ""
	}
	return string((*known)[addr.Unmap()])
}
