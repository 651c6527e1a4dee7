package node

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/memory"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/report/reporttest"
	"github.com/rind-project/rind/internal/network/store"
)

// smallReport is the report of a tap with a number.
func smallReport(t *testing.T, tap string, n uint64) []byte {
	t.Helper()
	r := reporttest.New(n, network.Identity{Tap: network.TapID(tap), Boot: reporttest.Boot(1), Sequence: n}, time.Now(), reporttest.Size{Flows: 3})
	body, err := report.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func served(t *testing.T, n *Node) (url string) {
	t.Helper()
	s := httptest.NewServer(n.Handler())
	t.Cleanup(s.Close)
	return s.URL
}

// give posts a report and returns the status and the answer.
func give(t *testing.T, url, token string, body []byte) (int, string) {
	t.Helper()
	status, text, err := post(url, token, body)
	if err != nil {
		t.Fatal(err)
	}
	return status, string(text)
}

// TestDrainedNode: a node that another one drains is not ready, goes on for as
// long as balancers need, refuses then, and takes again when it is told.
func TestDrainedNode(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		cfg := DefaultConfig()
		cfg.Heartbeat, cfg.DrainWait = 50*time.Millisecond, 0
		one, two := newNode(t, db, cfg), newNode(t, db, cfg)
		for _, n := range []*Node{one, two} {
			start(t, n)
			t.Cleanup(func() { _ = n.Stop(context.Background()) })
		}
		url, token := served(t, two), addTaps(t, one, 1)[0]
		if status, text := give(t, url, token, smallReport(t, "tap-0", 1)); status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
		if _, err := one.Drain(t.Context(), two.ID(), true); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it drains", two.member.Draining)
		if err := two.Check(t.Context()); !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "rind node undrain") {
			t.Errorf("it says that it is ready: %v", err)
		}
		if status, text := give(t, url, token, smallReport(t, "tap-0", 2)); status != http.StatusServiceUnavailable || !strings.Contains(text, reasonDraining) {
			t.Errorf("a draining node answers %d %s", status, text)
		}
		two.cfg.DrainWait = time.Hour // balancers have not turned yet
		if status, text := give(t, url, token, smallReport(t, "tap-0", 2)); status != http.StatusOK {
			t.Errorf("a node that begins to drain answers %d %s", status, text)
		}
		if _, err := one.Drain(t.Context(), two.ID(), false); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it takes again", func() bool { return two.Check(t.Context()) == nil })
	})
}

// TestShortOfMemory: near its limit a node refuses with the reason, and says
// that it is not ready.
func TestShortOfMemory(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		reg := prometheus.NewRegistry()
		n, err := New(DefaultConfig(), Deps{DB: db, Memory: memory.NewGauge(100), Metrics: reg}) // which any process exceeds
		if err != nil {
			t.Fatal(err)
		}
		token := addTaps(t, n, 1)[0]
		status, text := give(t, served(t, n), token, smallReport(t, "tap-0", 1))
		if status != http.StatusTooManyRequests || !strings.Contains(text, `"reason":"memory"`) {
			t.Errorf("%d %s", status, text)
		}
		if err := n.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "memory_limit") {
			t.Errorf("ready: %v", err)
		}
		if got := testutil.ToFloat64(n.door.refused.WithLabelValues(reasonMemory)); got != 1 {
			t.Errorf("%v refusals are counted", got)
		}
		if l := n.load(); l.Memory == 0 || l.MemoryLimit != 100 {
			t.Errorf("the load is %+v", l)
		}
	})
}

// TestTokenChangesAreHeardAtOnce: a token that one node rotates or revokes is
// refused by the other long before it would read the tokens anew.
func TestTokenChangesAreHeardAtOnce(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		cfg := DefaultConfig()
		cfg.Heartbeat, cfg.LeaseTerm = time.Hour, 3*time.Hour // no poll
		one, two := newNode(t, db, cfg), newNode(t, db, cfg)
		start(t, two)
		t.Cleanup(func() { _ = two.Stop(context.Background()) })
		url, old := served(t, two), addTaps(t, one, 1)[0]
		taken := func(token string, n uint64) (status int) {
			status, _ = give(t, url, token, smallReport(t, "tap-0", n))
			return status
		}
		if got := taken(old, 1); got != http.StatusOK {
			t.Fatalf("the token is answered %d", got)
		}
		token, err := one.Taps().RotateTap(t.Context(), "tap-0", 0)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the old token is refused", func() bool { return taken(old, 1) == http.StatusUnauthorized })
		if got := taken(token, 2); got != http.StatusOK {
			t.Errorf("the new token is answered %d", got)
		}
		if err := one.Taps().RevokeTap(t.Context(), "tap-0"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the revoked token is refused", func() bool { return taken(token, 2) == http.StatusForbidden })
	})
}

// TestNewerSchema: a node does not start on a schema that is newer than it
// knows, and one that runs goes on beside the newer one.
func TestNewerSchema(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		n := newNode(t, db, DefaultConfig())
		start(t, n)
		t.Cleanup(func() { _ = n.Stop(context.Background()) })
		newer := append(Migrations(), database.Migration{Name: "node/9000_later", SQL: "ALTER TABLE nodes ADD COLUMN mood TEXT NOT NULL DEFAULT 'good';\n"})
		if err := database.Migrate(t.Context(), db, newer); err != nil {
			t.Fatal(err)
		}
		if err := database.Migrate(t.Context(), db, Migrations()); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "node/9000_later") {
			t.Errorf("a node starts on a newer schema: %v", err)
		}
		token := addTaps(t, n, 1)[0]
		if status, text := give(t, served(t, n), token, smallReport(t, "tap-0", 1)); status != http.StatusOK {
			t.Errorf("the older node answers %d %s", status, text)
		}
		if s, err := n.Status(t.Context()); err != nil || len(s.Nodes) != 1 || len(s.Problems) != 0 || s.Database.Role != "primary" {
			t.Errorf("the status is %s, %v", fmt.Sprintf("%+v", s), err)
		}
		if _, err := n.Store().MakePartitions(t.Context()); err != nil { // as it does by itself, at some time
			t.Fatal(err)
		}
		s, err := n.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(s.Partitions, func(p Partitions) bool { return p.Kind == store.KindFlows })
		if i < 0 {
			t.Fatalf("no partition of flows is told of: %+v", s.Partitions)
		}
		if p := s.Partitions[i]; p.Count == 0 || p.Oldest == nil || p.Oldest.After(time.Now()) || p.Newest.Before(time.Now()) || !strings.HasPrefix(p.Next, "flows_p") || !p.At.After(time.Now().Add(29*24*time.Hour)) {
			t.Errorf("the partitions of flows are %+v", p)
		}
	})
}
