package master_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/fleettest"
	"github.com/rind-project/rind/internal/fleet/job"
)

// A peel returns what it was asked for: to a job of another peel, or more than
// a part holds, is not taken, on whichever master. The bucket drops its oldest
// when it is full, and what the others said stays.
func TestAPeelReturnsOnlyToItsOwnJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, reg := w.master("one")
	w.Enroll("web")
	evil := w.Peel("evil").NC
	run := func(target string) string {
		t.Helper()
		j, err := m.Run(t.Context(), fleet.JobRequest{Target: target, Function: "test.ping", Timeout: 20 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return j.JID
	}
	say := func(jid string, n int, data []byte) error {
		return fleettest.Tell(t.Context(), evil, bus.ReturnSubject(jid, "evil", n), data, 10*time.Second)
	}
	now := time.Now().UTC()
	ret, err := json.Marshal(fleet.Return{OK: true, Value: json.RawMessage(`"pong"`), Started: now, Finished: now})
	if err != nil {
		t.Fatal(err)
	}
	others, own, all := run("web"), run("evil"), run("*")
	check := func(where string) {
		t.Helper()
		for range 3 {
			if err := say(others, 0, ret); !errors.Is(err, bus.ErrRefused) {
				t.Errorf("%s: to a job of another peel: %v", where, err)
			}
		}
		if err := say(job.NewJID(), 0, ret); !errors.Is(err, bus.ErrRefused) {
			t.Errorf("%s: to a job that there is not: %v", where, err)
		}
		long, _ := json.Marshal(map[string]any{"of": 2, "part": make([]byte, job.ChunkSize+64<<10)})
		if err := say(own, 1, long); !errors.Is(err, bus.ErrRefused) || !strings.Contains(err.Error(), "too long") {
			t.Errorf("%s: a part that is too long: %v", where, err)
		}
	}
	check("on the master that collects it")
	if err := say(own, 0, ret); err != nil {
		t.Errorf("to its own job: %v", err)
	}
	fleettest.Eventually(t, "it is counted", func() error {
		if n := fleettest.Counter(t, reg, "rind_master_stray_messages_total", "untargeted"); n < 3 {
			return fmt.Errorf("%v times", n)
		}
		return nil
	})
	// Another master has the jobs from their records alone.
	stop(t, m)
	w.master("two")
	check("on another master")
	if err := say(all, 0, ret); err != nil {
		t.Errorf("to a job for all: %v", err)
	}
	keys, err := w.JS.KeyValue(t.Context(), bus.JobReturns)
	if err != nil {
		t.Fatal(err)
	}
	list, err := keys.Keys(t.Context())
	if err != nil || len(list) != 2 {
		t.Errorf("the bucket has %v (%v)", list, err)
	}
}
