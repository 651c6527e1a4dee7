package natsd_test

import (
	"context"
	"crypto/tls"
	"net"
	"testing"
	"time"
)

// TestHoldKeepsClientsWaiting: the server's own connection is served at once,
// and one from outside when the gate is opened.
func TestHoldKeepsClientsWaiting(t *testing.T) {
	t.Parallel()
	s := startBusOn(t, t.TempDir(), testConfig(), true)
	if err := s.master().Flush(); err != nil {
		t.Fatalf("the server's own connection: %v", err)
	}
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, 4096)
	if n, err := conn.Read(buf); err != nil || n < 5 || string(buf[:5]) != "INFO " {
		t.Fatalf("the server began with %q, %v", buf[:n], err)
	}
	client := s.client.Clone()
	client.ServerName = "127.0.0.1"
	done := make(chan error, 1)
	go func() { done <- tls.Client(conn, client).Handshake() }()
	select {
	case err := <-done:
		t.Fatalf("the handshake ended before the gate was opened: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	s.Open()
	s.Open()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the handshake still waits")
	}
}

// A server that stops does not wait for those whom it keeps waiting.
func TestStopSendsThoseAwayWhoWait(t *testing.T) {
	t.Parallel()
	s := startBusOn(t, t.TempDir(), testConfig(), true)
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 4096)); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- tls.Client(conn, s.client.Clone()).Handshake() }()
	time.Sleep(200 * time.Millisecond)                              // until it waits; when it is late, there is less to see
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // a client may wait for 25 s
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("it was let in")
	}
}
