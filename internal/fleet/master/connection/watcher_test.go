package connection_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/master/connection"
)

// seen is what a watcher has told.
type seen struct {
	mu        sync.Mutex
	connected map[connection.ID]connection.Entry // by events
	ended     map[connection.ID]connection.Entry
	listed    []connection.Entry // the last list
	lists     int
}

// watch starts a watcher of the only server of a broker. Without events it has
// the lists alone.
func watch(t *testing.T, w *fleettest.World, events bool, change ...func(*connection.Deps)) *seen {
	t.Helper()
	s := &seen{connected: map[connection.ID]connection.Entry{}, ended: map[connection.ID]connection.Entry{}}
	sys := w.Connect(w.Bus.SystemUser)
	deps := connection.Deps{
		Log: fleettest.Log(), System: sys, Every: 50 * time.Millisecond,
		Connected:    func(e connection.Entry) { s.mu.Lock(); defer s.mu.Unlock(); s.connected[e.ID] = e },
		Disconnected: func(e connection.Entry) { s.mu.Lock(); defer s.mu.Unlock(); s.ended[e.ID] = e },
		Listed: func(_ string, peels []connection.Entry, _ time.Time) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.listed = peels
			s.lists++
		},
		Servers: func() map[string]bool { return nil },
		Gone:    func(server string) { t.Errorf("the server %s is said to be gone", server) },
	}
	for _, fn := range change {
		fn(&deps)
	}
	watcher := connection.New(deps)
	if events {
		for subject, fn := range map[string]nats.MsgHandler{connection.Connects: watcher.OnConnect, connection.Disconnects: watcher.OnDisconnect} {
			if _, err := sys.Subscribe(subject, fn); err != nil {
				t.Fatal(err)
			}
		}
		if err := sys.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); watcher.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return s
}

// has complains until so many peels are told of by events, and by the lists.
func (s *seen) has(events, listed int) func() error {
	return func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.connected) != events || len(s.listed) != listed {
			return fmt.Errorf("%d peels by events, %d by the last list, want %d and %d", len(s.connected), len(s.listed), events, listed)
		}
		return nil
	}
}

// TestListsAskForNoPermissionTwice: a server verifies the permission of each
// of its connections for a list with permissions, so that one is asked for only
// when it is not known whose the connections are.
func TestListsAskForNoPermissionTwice(t *testing.T) {
	t.Parallel()
	const peels = 40 // more than are asked for one by one
	w := fleettest.Start(t, t.TempDir())
	var lists, withPermissions atomic.Int64
	spy := w.Connect(w.Bus.SystemUser)
	if _, err := spy.Subscribe("$SYS.REQ.SERVER.>", func(m *nats.Msg) {
		if bytes.Contains(m.Data, []byte(`"sort"`)) {
			lists.Add(1)
		}
		if bytes.Contains(m.Data, []byte(`"auth":true`)) {
			withPermissions.Add(1)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := spy.Flush(); err != nil {
		t.Fatal(err)
	}
	first := watch(t, w, true)
	for n := range peels {
		w.Peel(fleet.PeelID(fmt.Sprintf("web-%02d", n)))
	}
	fleettest.Eventually(t, "events and lists tell of all", first.has(peels, peels))
	time.Sleep(300 * time.Millisecond) // a list that was under way may ask still
	before, asked := lists.Load(), withPermissions.Load()
	fleettest.Eventually(t, "ten lists later", func() error {
		if n := lists.Load() - before; n < 10 {
			return fmt.Errorf("%d lists", n)
		}
		return nil
	})
	if n := withPermissions.Load() - asked; n != 0 {
		t.Errorf("permissions were asked for %d times, though the events had told whose the connections are", n)
	}
	asked = withPermissions.Load()
	second := watch(t, w, false)
	fleettest.Eventually(t, "one that hears no events has them by lists", second.has(0, peels))
	if n := withPermissions.Load() - asked; n == 0 || n > 3 {
		t.Errorf("it asked for permissions %d times, want it once or a few times", n)
	}
}

// TestWhatEventsTell: a peel is who its permission says, whatever it calls
// itself, and nobody else who connects is taken for a peel.
func TestWhatEventsTell(t *testing.T) {
	t.Parallel()
	w := fleettest.Start(t, t.TempDir())
	s := watch(t, w, true)
	w.Connect(w.Bus.ServerUser)
	web := w.Peel("web")
	fleettest.Eventually(t, "it is told of", s.has(1, 1))
	for range 3 {
		if err := web.NC.Publish(bus.HeartbeatSubject("web"), []byte("12345")); err != nil {
			t.Fatal(err)
		}
	}
	if err := web.NC.Flush(); err != nil {
		t.Fatal(err)
	}
	fleettest.Eventually(t, "the list counts what it sent", func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if e := s.listed[0]; e.Sent != (connection.Traffic{Msgs: 3, Bytes: 15}) || e.Peel != "web" || e.Address != "127.0.0.1" {
			return fmt.Errorf("%+v", e)
		}
		return nil
	})
	db := w.Enroll("db")
	cfg, err := db.BusConfig(fleettest.Log())
	if err != nil {
		t.Fatal(err)
	}
	cfg.Once = true
	nc, err := bus.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	fleettest.Eventually(t, "another one is told of", s.has(2, 2))
	if err := w.Bus.Revoke(t.Context(), db.Public()); err != nil {
		t.Fatal(err)
	}
	fleettest.Eventually(t, "the event says that it was revoked", func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, e := range s.ended {
			if e.Peel == "db" && e.Revoked {
				return nil
			}
		}
		return fmt.Errorf("ended are %+v", s.ended)
	})
	web.NC.Close()
	fleettest.Eventually(t, "it is away", func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		for id, e := range s.ended {
			if e.Peel == "db" {
				continue
			}
			if begun := s.connected[id]; e.Peel != "web" || e.Revoked || begun.Peel != "web" || begun.Address != "127.0.0.1" || e.Sent.Msgs != 3 || e.Sent.Bytes != 15 {
				return fmt.Errorf("it began as %+v and ended as %+v", begun, e)
			}
			return nil
		}
		return fmt.Errorf("no event has told of its end")
	})
}

// TestAServerThatBeganAnew has told nobody of the connections that ended with
// the one before: it is found out by a call of the servers.
func TestAServerThatBeganAnew(t *testing.T) {
	t.Parallel()
	w := fleettest.Start(t, t.TempDir(), fleettest.Again(t))
	var before atomic.Pointer[string]
	gone := make(chan string, 1)
	watch(t, w, true, func(d *connection.Deps) {
		d.Listed = func(server string, _ []connection.Entry, _ time.Time) { before.CompareAndSwap(nil, &server) }
		d.Servers = func() map[string]bool {
			if server := before.Load(); server != nil {
				return map[string]bool{*server: true}
			}
			return nil
		}
		d.Gone = func(server string) {
			select {
			case gone <- server:
			default: // it is said again as long as Servers has it
			}
		}
	})
	fleettest.Eventually(t, "its list is read", func() error {
		if before.Load() == nil {
			return errors.New("nothing was listed")
		}
		return nil
	})
	fleettest.Stop(t, w.Bus)
	if err := w.Bus.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case server := <-gone:
		if server != *before.Load() {
			t.Errorf("%s is said to be gone, which was %s", server, *before.Load())
		}
	case <-time.After(60 * time.Second):
		t.Error("nobody noticed")
	}
}
