package node

import (
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
)

// TestVersions upgrades a cluster of two nodes one after the other, while taps
// report: the newer node expands the schema under the older one, which goes on
// with it, and both are listed with their versions. The rows are exactly those
// that were sent. An older node that is started now refuses, and names what it
// does not know.
func TestVersions(t *testing.T) {
	t.Parallel()
	where := databasetest.URL(t, database.PostgreSQL)
	db := databasetest.Reopen(t, database.PostgreSQL, where)
	if err := database.Migrate(t.Context(), db, clusterSchema()); err != nil {
		t.Fatal(err)
	}
	one, two := &child{addr: freeAddr(t), where: where}, &child{addr: freeAddr(t), where: where}
	t.Cleanup(func() {
		one.kill()
		two.kill()
	})
	one.start(t)
	two.start(t)
	asked := newNode(t, db, DefaultConfig())
	f := send(t, 4, addTaps(t, asked, 4), func() []string { return []string{"http://" + one.addr, "http://" + two.addr} })
	f.further(t, 20)

	two.newer = true
	two.roll(t)
	f.further(t, 40) // tried at both in turn
	var old, young int64
	if err := db.QueryRow(t.Context(), `SELECT COUNT(*), COUNT(test_newer) FROM flows`).Scan(&old, &young); err != nil || old == 0 || young != 0 {
		t.Errorf("%d flows, %d with what the newer release added: %v", old, young, err)
	}
	status, err := asked.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	running := map[string]string{}
	for _, n := range status.Nodes {
		if n.Alive {
			running[n.ID] = n.Version
		}
	}
	if running[one.id] != "v1" || running[two.id] != "v2" {
		t.Errorf("nodes and versions: %v", running)
	}
	failed := f.again.Load() - f.slow.Load()
	f.further(t, 20)
	if n := f.again.Load() - f.slow.Load() - failed; n > 0 {
		t.Errorf("with two versions side by side %d tries failed", n)
	}

	late := &child{addr: freeAddr(t), where: where}
	if out, err := late.command().CombinedOutput(); err == nil || !strings.Contains(string(out), "test/0002_newer") {
		t.Errorf("an older node on the newer schema ends with %v and says:\n%s", err, out)
	}

	one.newer = true
	one.roll(t)
	f.further(t, 20)
	f.stop()
	one.leave(t)
	two.leave(t)
	f.check(t, db)
	checkWork(t, db)
}
