package managed

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/network/node/cluster"
)

func each(t *testing.T, fn func(t *testing.T, db *database.DB)) {
	t.Parallel()
	databasetest.Each(t, append(cluster.Migrations(), Migrations()...), func(t *testing.T, db *database.DB) {
		t.Parallel()
		fn(t, db)
	})
}

// fleetOf is what a master of a test knows.
type fleetOf struct {
	mu    sync.Mutex
	hosts map[fleet.PeelID]fleet.HostAddresses
	away  bool
}

// set gives a host its addresses; none takes it out.
func (f *fleetOf) set(id fleet.PeelID, addresses ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hosts == nil {
		f.hosts = map[fleet.PeelID]fleet.HostAddresses{}
	}
	h := fleet.HostAddresses{ID: id, MACs: [][6]byte{{2, 0, 0, 0, 0, 1}}}
	for _, a := range addresses {
		h.Addresses = append(h.Addresses, netip.MustParseAddr(a))
	}
	if f.hosts[id] = h; len(addresses) == 0 {
		delete(f.hosts, id)
	}
}

func (f *fleetOf) owners() ([]fleet.HostAddresses, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []fleet.HostAddresses
	for _, h := range f.hosts {
		all = append(all, h)
	}
	return all, !f.away
}

// master is a writer that a test drives itself, with the lease in hand.
type master struct {
	*Writer
	*fleetOf
	lease *cluster.Lease
}

func newMaster(t *testing.T, db *database.DB, hosts *fleetOf) *master {
	t.Helper()
	member := cluster.Guest(cluster.Config{Term: time.Hour}, cluster.Deps{DB: db})
	m := &master{Writer: NewWriter(WriterDeps{DB: db, Member: member, Owners: hosts.owners, Every: time.Hour}), fleetOf: hosts}
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan *cluster.Lease, 1)
	held := make(chan struct{})
	go func() {
		defer close(held)
		member.Hold(ctx, lease, func(ctx context.Context, l *cluster.Lease) {
			got <- l
			<-ctx.Done()
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-held
	})
	m.lease = <-got
	return m
}

func (m *master) tell(t *testing.T) {
	t.Helper()
	if err := m.pass(t.Context(), m.lease); err != nil {
		t.Fatal(err)
	}
}

// wrote is how many rows a writer has written so far.
func (m *master) wrote() int {
	return int(testutil.ToFloat64(m.rows.WithLabelValues("changed")) + testutil.ToFloat64(m.rows.WithLabelValues("gone")))
}

func newReader(t *testing.T, db *database.DB) *Reader {
	t.Helper()
	return NewReader(db, time.Hour, nil, prometheus.NewRegistry())
}

// knows compares what a reader knows after a look.
func knows(t *testing.T, r *Reader, want map[string]string) {
	t.Helper()
	if err := r.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for a, id := range *r.known.Load() {
		got[a.String()] = string(id)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the reader knows (-want +got):\n%s", diff)
	}
	of := map[string]string{}
	for id, all := range r.hosts {
		for _, a := range all {
			of[a.String()] = string(id)
		}
	}
	if diff := cmp.Diff(want, of); diff != "" {
		t.Errorf("the reader's hosts have (-want +got):\n%s", diff)
	}
}

// TestWhatChangesIsWrittenAndRead follows hosts that come, move, exchange an
// address and go; only their rows are written, and read.
func TestWhatChangesIsWrittenAndRead(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		m, r := newMaster(t, db, &fleetOf{}), newReader(t, db)
		knows(t, r, map[string]string{})
		m.set("web", "10.0.0.1", "2001:db8::1")
		m.set("db", "10.0.0.2")
		m.set("still", "10.0.0.9")
		m.tell(t)
		knows(t, r, map[string]string{"10.0.0.1": "web", "2001:db8::1": "web", "10.0.0.2": "db", "10.0.0.9": "still"})
		if got := r.Name("tap", netip.MustParseAddr("::ffff:10.0.0.1")); got != "web" {
			t.Errorf("10.0.0.1 mapped into IPv6 is of %q", got)
		}
		m.set("web", "10.0.0.3", "10.0.0.2")
		m.set("db", "10.0.0.1")
		m.tell(t)
		want := map[string]string{"10.0.0.1": "db", "10.0.0.2": "web", "10.0.0.3": "web", "10.0.0.9": "still"}
		knows(t, r, want)
		m.set("db")
		m.set("gone-before-it-was-told", "10.0.0.7")
		m.set("gone-before-it-was-told")
		m.tell(t)
		delete(want, "10.0.0.1")
		knows(t, r, want)
		m.tell(t)
		if m.wrote() != 6 {
			t.Errorf("%d rows were written, want 3, 2 and 1", m.wrote())
		}
		if got := testutil.ToFloat64(r.rows); got != 6 {
			t.Errorf("%v rows were read, want 6", got)
		}
		m.fleetOf.away = true
		m.set("web")
		m.tell(t)
		knows(t, r, want) // a master that does not run knows nothing, and says nothing
	})
}

// TestPagesAndBatches: many hosts, of which a few change.
func TestPagesAndBatches(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		m, r := newMaster(t, db, &fleetOf{}), newReader(t, db)
		want := map[string]string{}
		for i := range 2*pageRows + batchRows/2 {
			addr, id := fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), fmt.Sprintf("host-%d", i)
			m.set(fleet.PeelID(id), addr)
			want[addr] = id
		}
		m.tell(t)
		knows(t, r, want)
		m.set("host-7", "192.0.2.1")
		delete(want, "10.0.0.7")
		want["192.0.2.1"] = "host-7"
		before := testutil.ToFloat64(r.rows)
		m.tell(t)
		knows(t, r, want)
		if n := testutil.ToFloat64(r.rows) - before; n != 1 {
			t.Errorf("for one change %v rows are read", n)
		}
		knows(t, newReader(t, db), want)
	})
}

// TestMoreAddressesThanAreTold bounds a row.
func TestMoreAddressesThanAreTold(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		m, r := newMaster(t, db, &fleetOf{}), newReader(t, db)
		var all []string
		want := map[string]string{}
		for i := range maxAddresses + 5 {
			all = append(all, fmt.Sprintf("10.0.0.%d", i))
			if i < maxAddresses {
				want[all[i]] = "router"
			}
		}
		m.set("router", all...)
		m.tell(t)
		knows(t, r, want)
		if got := testutil.ToFloat64(m.left); got != 5 {
			t.Errorf("%v addresses are left out", got)
		}
	})
}

// TestNextMaster takes the table over: it writes what differs and no more, and
// the one before cannot write any more.
func TestNextMaster(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		hosts := &fleetOf{}
		hosts.set("web", "10.0.0.1")
		hosts.set("db", "10.0.0.2")
		first, r := newMaster(t, db, hosts), newReader(t, db)
		first.tell(t)
		if _, err := db.Exec(t.Context(), `UPDATE leases SET until_us = 1`); err != nil {
			t.Fatal(err)
		}
		second := newMaster(t, db, hosts)
		hosts.set("db", "10.0.0.3")
		second.tell(t)
		if second.wrote() != 1 {
			t.Errorf("the second master writes %d rows for one change", second.wrote())
		}
		hosts.set("web", "10.0.0.4")
		if err := first.pass(t.Context(), first.lease); err == nil {
			t.Error("the first master writes without the lease")
		}
		knows(t, r, map[string]string{"10.0.0.1": "web", "10.0.0.3": "db"})
	})
}

// TestReaderThatWasAway: hosts that went are forgotten after a day, and who has
// not heard of it until then begins anew.
func TestReaderThatWasAway(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		m, away, here := newMaster(t, db, &fleetOf{}), newReader(t, db), newReader(t, db)
		now := time.Now()
		m.deps.Now = func() time.Time { return now }
		m.set("web", "10.0.0.1")
		m.set("db", "10.0.0.2")
		m.tell(t)
		both := map[string]string{"10.0.0.1": "web", "10.0.0.2": "db"}
		knows(t, away, both)
		knows(t, here, both)
		m.set("db")
		m.tell(t)
		knows(t, here, map[string]string{"10.0.0.1": "web"})
		count := func() (n int) {
			t.Helper()
			if err := db.QueryRow(t.Context(), `SELECT COUNT(*) FROM managed_hosts`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if n := count(); n != 2 {
			t.Errorf("%d rows, want that of the host that went too", n)
		}
		now = now.Add(keepGone + 2*forgetEvery)
		m.tell(t)
		if n := count(); n != 1 {
			t.Errorf("%d rows a day later", n)
		}
		m.set("new", "10.0.0.3")
		m.tell(t)
		want := map[string]string{"10.0.0.1": "web", "10.0.0.3": "new"}
		knows(t, away, want)
		rows := testutil.ToFloat64(here.rows)
		knows(t, here, want)
		if n := testutil.ToFloat64(here.rows) - rows; n != 1 {
			t.Errorf("who was here reads %v rows for one change", n)
		}
	})
}

// TestDatabaseThatLostTheLastWrites: after a failover to a standby that was
// behind, the table is as it was before; the writer notices and writes again,
// and readers, who are ahead of it, do not keep what was lost.
func TestDatabaseThatLostTheLastWrites(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		m, r := newMaster(t, db, &fleetOf{}), newReader(t, db)
		m.set("web", "10.0.0.1")
		m.tell(t)
		revision := m.revision
		m.set("web", "10.0.0.5")
		m.set("db", "10.0.0.2")
		m.tell(t)
		knows(t, r, map[string]string{"10.0.0.5": "web", "10.0.0.2": "db"})
		old, _ := pack(fleet.HostAddresses{Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}})
		if _, err := db.Exec(t.Context(), `DELETE FROM managed_hosts WHERE id = 'db'`); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(t.Context(), `UPDATE managed_hosts SET addresses = $1, revision = $2`, []byte(old.addresses), revision); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(t.Context(), `UPDATE managed_state SET revision = $1`, revision); err != nil {
			t.Fatal(err)
		}
		knows(t, r, map[string]string{"10.0.0.1": "web"})
		m.tell(t)
		knows(t, r, map[string]string{"10.0.0.5": "web", "10.0.0.2": "db"})
	})
}

// TestReaderKeepsWhatItKnows while the database does not answer.
func TestReaderKeepsWhatItKnows(t *testing.T) {
	t.Parallel()
	where := databasetest.URL(t, database.PostgreSQL)
	db, cut := databasetest.Reopen(t, database.PostgreSQL, where), databasetest.Reopen(t, database.PostgreSQL, where)
	if err := database.Migrate(t.Context(), db, append(cluster.Migrations(), Migrations()...)); err != nil {
		t.Fatal(err)
	}
	m, r := newMaster(t, db, &fleetOf{}), newReader(t, cut)
	m.set("web", "10.0.0.1")
	m.tell(t)
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop(context.Background()) })
	if got := r.Name("", netip.MustParseAddr("10.0.0.1")); got != "web" {
		t.Fatalf("after the start 10.0.0.1 is of %q", got)
	}
	if err := cut.Close(); err != nil {
		t.Fatal(err)
	}
	r.Wake()
	eventually(t, "a failure is counted", func() bool { return testutil.ToFloat64(r.failed) > 0 })
	if got := r.Name("", netip.MustParseAddr("10.0.0.1")); got != "web" {
		t.Errorf("without a database 10.0.0.1 is of %q", got)
	}
	late := newReader(t, cut)
	if err := late.Start(t.Context()); err != nil {
		t.Errorf("a node does not start without the table: %v", err)
	}
	if err := late.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestMastersAndNodes runs two masters and a node as servers do: one writes,
// the node is woken, and when the one stops the other one goes on.
func TestMastersAndNodes(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		hosts := &fleetOf{}
		hosts.set("web", "10.0.0.1")
		cfg := cluster.Config{Heartbeat: 100 * time.Millisecond, Term: 3 * time.Second}
		var masters []*Writer
		for range 2 {
			w := NewWriter(WriterDeps{DB: db, Member: cluster.Guest(cfg, cluster.Deps{DB: db}), Owners: hosts.owners, Every: 50 * time.Millisecond})
			if err := w.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = w.Stop(context.Background()) })
			masters = append(masters, w)
		}
		r := newReader(t, db) // which by itself asks once an hour
		node := cluster.New(cfg, cluster.Deps{DB: db})
		node.On(Topic, r.Wake)
		if err := node.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = node.Stop(context.Background()) })
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Stop(context.Background()) })
		is := func(addr, id string) {
			t.Helper()
			eventually(t, addr+" is of "+id, func() bool { return r.Name("", netip.MustParseAddr(addr)) == id })
		}
		is("10.0.0.1", "web")
		hosts.set("db", "10.0.0.2")
		is("10.0.0.2", "db")
		writing := func(w *Writer) bool { return testutil.ToFloat64(w.holds) == 1 }
		at := slices.IndexFunc(masters, writing)
		if at < 0 || writing(masters[1-at]) {
			t.Fatal("not exactly one master writes")
		}
		if err := masters[at].Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		hosts.set("web", "10.0.0.7")
		is("10.0.0.7", "web")
		is("10.0.0.1", "")
		if all, err := node.Members(t.Context()); err != nil || len(all) != 1 {
			t.Errorf("the masters are on the list of nodes: %+v, %v", all, err)
		}
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}
