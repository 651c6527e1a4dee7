package master_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/job/function"
	"github.com/rind-project/rind/internal/fleet/master"
	"github.com/rind-project/rind/internal/fleet/natsd"
	"github.com/rind-project/rind/internal/fleet/peel"
)

// world is a broker with its keys, for masters.
type world struct {
	*fleettest.World
	t    *testing.T
	sys  *nats.Conn
	sign *job.Signer
}

func newWorld(t *testing.T, change ...func(*natsd.Config)) *world {
	t.Helper()
	return newWorldIn(t, t.TempDir(), change...)
}

// newWorldIn takes a folder for its data.
func newWorldIn(t *testing.T, dir string, change ...func(*natsd.Config)) *world {
	t.Helper()
	return worldOf(t, fleettest.Start(t, dir, change...))
}

func worldOf(t *testing.T, w *fleettest.World) *world {
	t.Helper()
	return &world{World: w, t: t, sys: w.Connect(w.Bus.SystemUser), sign: w.Signer()}
}

func stop(t *testing.T, c interface{ Stop(context.Context) error }) { t.Helper(); fleettest.Stop(t, c) }

// master starts a master.
func (w *world) master(name string) (*master.Master, *prometheus.Registry) {
	w.t.Helper()
	return w.masterWith(master.Config{Name: name}, nil)
}

// masterOn starts a master on connections of its own.
func (w *world) masterOn(name string, nc, sys *nats.Conn) (*master.Master, *prometheus.Registry) {
	w.t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.masterWith(master.Config{Name: name}, func(d *master.Deps) {
		d.NC, d.JS, d.System = func() *nats.Conn { return nc }, func() jetstream.JetStream { return js }, func() *nats.Conn { return sys }
	})
}

// masterWith starts a master with what is changed in its dependencies.
func (w *world) masterWith(cfg master.Config, change func(*master.Deps)) (*master.Master, *prometheus.Registry) {
	w.t.Helper()
	reg := prometheus.NewRegistry()
	deps := master.Deps{
		Log: fleettest.Log(), Signer: w.sign, Metrics: reg, Version: "test", Enrolled: w.Enrolled,
		NC: func() *nats.Conn { return w.NC }, JS: func() jetstream.JetStream { return w.JS }, System: func() *nats.Conn { return w.sys },
	}
	if change != nil {
		change(&deps)
	}
	m := master.New(cfg, deps)
	if err := m.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { stop(w.t, m) })
	return m, reg
}

// peel starts a peel whose state is kept in dir, and waits until it is there.
func (w *world) peel(c *fleettest.Credentials, dir string, extra ...function.Function) (*peel.Peel, *prometheus.Registry) {
	w.t.Helper()
	reg := prometheus.NewRegistry()
	p := peel.New(peel.Config{StateDir: dir, ReconnectWait: 100 * time.Millisecond}, peel.Deps{
		Log: fleettest.Log(), Credentials: c, Version: "test", Metrics: reg, Functions: append(function.All(), extra...)})
	if err := p.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { stop(w.t, p) })
	fleettest.Eventually(w.t, fmt.Sprintf("%s connects", c.ID), func() error {
		if !p.Connected() {
			return errors.New("it is not connected")
		}
		return nil
	})
	return p, reg
}

func online(m *master.Master, n int) func() error {
	return func() error {
		all, err := m.Peels(context.Background(), master.PeelQuery{Limit: 1000})
		if err != nil {
			return err
		}
		got := 0
		for _, p := range all {
			if p.Presence == fleet.Connected {
				got++
			}
		}
		if got != n {
			return fmt.Errorf("%d of %d peels are connected, want %d", got, len(all), n)
		}
		return nil
	}
}

// finish runs a job and follows it to its end.
func finish(t *testing.T, m *master.Master, req fleet.JobRequest) (fleet.Job, map[fleet.PeelID]fleet.Return) {
	t.Helper()
	j, err := m.Run(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return follow(t, m, j.JID)
}

func follow(t *testing.T, m *master.Master, jid string) (fleet.Job, map[fleet.PeelID]fleet.Return) {
	t.Helper()
	events, err := m.Watch(t.Context(), jid)
	if err != nil {
		t.Fatal(err)
	}
	returns := map[fleet.PeelID]fleet.Return{}
	for e := range events {
		if e.Done != nil {
			if _, more := <-events; more {
				t.Error("an event came after the last")
			}
			return *e.Done, returns
		}
		if e.Step != nil {
			continue
		}
		if _, twice := returns[e.Return.Peel]; twice {
			t.Errorf("%s was shown twice", e.Return.Peel)
		}
		returns[e.Return.Peel] = *e.Return
	}
	t.Fatal("the events ended without the job's end")
	return fleet.Job{}, nil
}
