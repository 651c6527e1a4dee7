package natsd_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

func TestBusSaysThatItDied(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	select {
	case err := <-b.Died():
		t.Fatalf("died at once: %v", err)
	default:
	}
	b.Kill()
	select {
	case err := <-b.Died():
		if err == nil {
			t.Error("died without a reason")
		}
	case <-time.After(5 * time.Second):
		t.Fatal("nobody was told")
	}
}

func TestStopIsNoDeath(t *testing.T) {
	t.Parallel()
	b := startBus(t, t.TempDir())
	nc := b.master()
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-b.Died():
		t.Errorf("died: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	if nc.Status() == nats.CONNECTED {
		t.Error("still connected")
	}
	if b.Addr() != "" {
		t.Errorf("address %s", b.Addr())
	}
}
