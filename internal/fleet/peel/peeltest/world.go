// Package peeltest is the suite of a peel's protocol: what a peel does on the
// wire, against the real broker, whatever socket it speaks through. The master
// in it is a small one that can be made to lose and to refuse.
package peeltest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/job/function"
	"github.com/rind-project/rind/internal/fleet/peel"
)

// world is a broker with its keys, and what a small master hears there.
type world struct {
	*fleettest.World
	t     *testing.T
	dial  peel.Dialer
	sign  *job.Signer
	heard *heard
	conns []*nats.Conn // the small master's
}

func newWorld(t *testing.T, dial peel.Dialer) *world {
	t.Helper()
	w := &world{World: fleettest.Start(t, t.TempDir(), fleettest.Again(t)), t: t, dial: dial, heard: newHeard()}
	w.sign = w.Signer()
	w.listen()
	return w
}

// start starts the broker again, on the same port and with the same keys.
func (w *world) start() {
	w.t.Helper()
	if err := w.Bus.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.listen()
}

// stop stops the broker, and the master with it.
func (w *world) stop() {
	for _, nc := range w.conns {
		nc.Close()
	}
	w.conns = nil
	fleettest.Stop(w.t, w.Bus)
}

// subject is the peel of the suite.
const subject = fleet.PeelID("suite-1")

// peel starts a peel with credentials.
func (w *world) peel(c *fleettest.Credentials, dir string, extra ...function.Function) (*peel.Peel, *prometheus.Registry) {
	t := w.t
	t.Helper()
	reg := prometheus.NewRegistry()
	p := peel.New(peel.Config{StateDir: dir, ReconnectWait: 100 * time.Millisecond}, peel.Deps{
		Credentials: c, Version: "suite", Metrics: reg, Dial: w.dial,
		Functions: append(function.All(), extra...),
		Facts:     func(context.Context) (fleet.Facts, error) { return fleet.Facts{Hostname: "suite", OS: "Debian"}, nil },
	})
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fleettest.Stop(t, p) })
	fleettest.Eventually(t, "the peel connects", func() error {
		if !p.Connected() {
			return errors.New("it is not connected")
		}
		return nil
	})
	return p, reg
}

// count reads one of the peel's counters or gauges, with the value of its only
// label.
func count(t *testing.T, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	return fleettest.Counter(t, reg, "rind_peel_"+name, label)
}
