package natsd

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

// pair is a connection with both its ends.
func pair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// TestGateLetsInAFewAtATime: no more than there are places, nobody who has
// hung up, and the place of one that says no more is free again.
func TestGateLetsInAFewAtATime(t *testing.T) {
	t.Parallel()
	g := newGate()
	g.let()
	_, conn := pair(t)
	var places []func()
	for range cap(g.slot) {
		done, err := g.enter(conn)
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, done)
	}
	client, gone := pair(t)
	_, waits := pair(t)
	var wg sync.WaitGroup
	var hung, in error
	wg.Go(func() { _, hung = g.enter(gone) })
	began := time.Now()
	wg.Go(func() { _, in = g.enter(waits) })
	client.Close()
	time.Sleep(50 * time.Millisecond)
	if len(g.slot) != cap(g.slot) {
		t.Errorf("%d of %d places are taken", len(g.slot), cap(g.slot))
	}
	for _, done := range places[1:] {
		done()
		done()
	}
	wg.Wait()
	if !errors.Is(hung, errHungUp) || in != nil {
		t.Errorf("one that hung up: %v; one that waits: %v", hung, in)
	}
	for len(g.slot) > 0 && time.Since(began) < gateTime+20*time.Second {
		time.Sleep(20 * time.Millisecond)
	}
	if len(g.slot) != 0 {
		t.Errorf("%d places are taken still", len(g.slot))
	}
}
