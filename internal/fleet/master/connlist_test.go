package master_test

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rind-project/rind/internal/fleet"
)

// TestListsAskForNoPermissionTwice: a server verifies the permission of each
// of its connections for a list with permissions, so that a master asks for
// one only when it does not know whose the connections are.
func TestListsAskForNoPermissionTwice(t *testing.T) {
	t.Parallel()
	const peels = 40 // more than are asked for one by one
	w := newWorld(t)
	var lists, withPermissions atomic.Int64
	spy := w.connect(w.bus.SystemUser)
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
	first, _ := w.masterListing("first", 50*time.Millisecond)
	for n := range peels {
		w.peel(w.enroll(fleet.PeelID(fmt.Sprintf("web-%02d", n))), "")
	}
	eventually(t, "the events tell of all", online(first, peels))
	time.Sleep(300 * time.Millisecond) // a list that was under way may ask still
	before, asked := lists.Load(), withPermissions.Load()
	eventually(t, "ten lists later", func() error {
		if n := lists.Load() - before; n < 10 {
			return fmt.Errorf("%d lists", n)
		}
		return nil
	})
	if n := withPermissions.Load() - asked; n != 0 {
		t.Errorf("permissions were asked for %d times, though the events had told whose the connections are", n)
	}
	asked = withPermissions.Load()
	second, _ := w.masterListing("second", 50*time.Millisecond)
	eventually(t, "a master that came later has them by lists", online(second, peels))
	if n := withPermissions.Load() - asked; n == 0 || n > 3 {
		t.Errorf("it asked for permissions %d times, want it once or a few times", n)
	}
}
