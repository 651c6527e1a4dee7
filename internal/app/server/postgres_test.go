package server

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
)

// deliver delivers the walk's report as its tap and returns the status.
func (r *running) deliver(t *testing.T, token string) string {
	t.Helper()
	return r.report(t, token, walkReport(t)).body
}

// flows counts the flows of the last hour.
func (r *running) flows(t *testing.T) int {
	t.Helper()
	var out struct{ Flows []struct{} }
	if a := r.call(t, r.token(t, access.Viewer), http.MethodGet, "/flows", nil, &out); a.status != http.StatusOK {
		t.Fatalf("listing the flows: %d %s", a.status, a.body)
	}
	return len(out.Flows)
}

// TestBothRoads goes down both roads on each engine, and again after a
// restart.
func TestBothRoads(t *testing.T) {
	t.Parallel()
	for _, engine := range databasetest.Engines() {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			cfg := testConfig(dataDir(t))
			if engine == database.PostgreSQL {
				cfg.Database.URL = databasetest.URL(t, engine)
			}
			first := start(t, cfg)
			if got := first.db.Engine(); got != engine {
				t.Fatalf("the engine is %s", got)
			}
			first.enroll(t, "web-01")
			token := first.addTap(t, "walker")
			if got := first.deliver(t, token); got != `{"status":"committed"}`+"\n" {
				t.Errorf("the report: %s", got)
			}
			first.ready(t)
			stop(t, first.Server)

			second := start(t, cfg)
			if got := second.deliver(t, token); got != `{"status":"duplicate"}`+"\n" {
				t.Errorf("the report again: %s", got)
			}
			if n := second.flows(t); n != 3 {
				t.Errorf("%d flows, want 3", n)
			}
			if peels := second.peels(t); !slices.Equal(peels, []string{"web-01"}) {
				t.Errorf("the peels are %v", peels)
			}
			if second.FirstPassword() != "" {
				t.Error("a second administrator was made")
			}
			second.ready(t)
		})
	}
}

// Nodes that share a database and start at once make one schema and one
// administrator, and what one commits the other shows.
func TestNodesShareADatabase(t *testing.T) {
	t.Parallel()
	where := databasetest.URL(t, database.PostgreSQL)
	servers := make([]*Server, 3)
	failed := make([]error, len(servers))
	var starting sync.WaitGroup
	for i := range servers {
		cfg := testConfig(dataDir(t))
		cfg.Roles, cfg.Database.URL = []string{RoleNode}, where
		servers[i], _ = newServer(cfg)
		starting.Go(func() { failed[i] = servers[i].Start(t.Context()) })
	}
	starting.Wait()
	passwords := 0
	for i, s := range servers {
		if failed[i] != nil {
			t.Fatalf("server %d: %v", i, failed[i])
		}
		t.Cleanup(func() { stop(t, s) })
		if s.FirstPassword() != "" {
			passwords++
		}
	}
	if passwords != 1 {
		t.Errorf("%d first administrators were announced", passwords)
	}
	a, b := reach(t, servers[0]), reach(t, servers[1])
	token := a.addTap(t, "walker")
	if got := b.deliver(t, token); got != `{"status":"committed"}`+"\n" {
		t.Errorf("a report to another node than the tap's: %s", got)
	}
	if got := a.deliver(t, token); got != `{"status":"duplicate"}`+"\n" {
		t.Errorf("the report again, to the first: %s", got)
	}
	if n := a.flows(t); n != 3 {
		t.Errorf("%d flows, want 3", n)
	}
	began := time.Now()
	stop(t, servers[1])
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the stop took %s", took)
	}
	a.ready(t)
}
