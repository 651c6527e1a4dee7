package node

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
)

// The network between one node and the others, of the prefix for documentation
// (RFC 5737): the database has an address there of its own, so that a node can
// be cut off from it alone.
var (
	databaseAddr = netip.MustParseAddr("198.51.100.1")
	balancerAddr = netip.MustParseAddr("198.51.100.2")
	farAddr      = netip.MustParseAddr("198.51.100.10")
)

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil {
		if strings.Contains(string(out), "not permitted") {
			t.Skipf("skipped: this machine does not let root make network namespaces: %s", out)
		}
		t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// farNetwork makes a namespace for the node that is cut off.
func farNetwork(t *testing.T) (ns string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: network namespaces need root")
	}
	for program, from := range map[string]string{"ip": "iproute2", "nft": "nftables"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("skipped: no %s; apt-get install %s", program, from)
		}
	}
	ns = fmt.Sprintf("rind-n-%d", os.Getpid())
	port := fmt.Sprintf("rn%d", os.Getpid())
	ip(t, "netns", "add", ns)
	t.Cleanup(func() {
		_ = exec.Command("ip", "link", "del", port).Run() // at once: a namespace goes with its last socket
		_ = exec.Command("ip", "netns", "del", ns).Run()
	})
	ip(t, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", ns)
	for _, a := range []netip.Addr{databaseAddr, balancerAddr} {
		ip(t, "addr", "add", a.String()+"/24", "dev", port)
	}
	ip(t, "link", "set", port, "up")
	ip(t, "-n", ns, "addr", "add", farAddr.String()+"/24", "dev", "eth0")
	ip(t, "-n", ns, "link", "set", "eth0", "up")
	ip(t, "-n", ns, "link", "set", "lo", "up")
	return ns
}

// cutOff has a firewall in the namespace drop what goes to the database and what
// comes from it, without a word. It returns what ends that.
func cutOff(t *testing.T, ns string) (mend func()) {
	t.Helper()
	const chain = "add chain ip cut %s { type filter hook %s priority 0; }"
	for _, rule := range []string{
		"add table ip cut", fmt.Sprintf(chain, "out", "output"), fmt.Sprintf(chain, "in", "input"),
		"add rule ip cut out ip daddr " + databaseAddr.String() + " drop", "add rule ip cut in ip saddr " + databaseAddr.String() + " drop",
	} {
		ip(t, "netns", "exec", ns, "nft", rule)
	}
	return func() {
		t.Helper()
		ip(t, "netns", "exec", ns, "nft", "delete table ip cut")
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// balancer starts a real HAProxy before the nodes.
func balancer(t *testing.T, nodes []*child) (url string) {
	t.Helper()
	bin, err := exec.LookPath("haproxy")
	if err != nil {
		t.Skip("skipped: no haproxy; apt-get install haproxy")
	}
	addr := freeAddr(t)
	var b strings.Builder
	b.WriteString("defaults\n  mode http\n  timeout connect 1s\n  timeout client 40s\n  timeout server 40s\n  timeout check 2s\n  retries 2\n  option redispatch 1\n" +
		"frontend in\n  bind " + addr + "\n  default_backend nodes\n" +
		"backend nodes\n  balance roundrobin\n  option httpchk GET /readyz\n  http-check expect status 200\n")
	for i, n := range nodes {
		fmt.Fprintf(&b, "  server n%d %s check inter 200ms fall 2 rise 1", i, n.addr)
		if n.prefix != nil {
			b.WriteString(" source " + balancerAddr.String())
		}
		b.WriteString("\n")
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	// It ends with the input of the shell, which ends with this process.
	cmd := exec.Command("/bin/sh", "-c", `"$1" -db -q -f "$2" </dev/null & p=$!; cat >/dev/null; kill -KILL $p`, "sh", bin, file)
	held, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = held.Close()
		_ = cmd.Wait()
	})
	eventually(t, "haproxy listens", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return "http://" + addr
}

// TestCluster has taps report to three nodes behind a real HAProxy, and then
// kills one, adds one, rolls all, kills the database, and cuts one that holds a
// lease off from it: the rows are exactly those that the taps sent, and no
// work was done twice for one period. With RIND_NIGHTLY there are fifty taps,
// and the outages last a minute.
func TestCluster(t *testing.T) {
	taps, gone, some := 10, 2*time.Second, int64(30)
	if nightly() {
		taps, gone, some = 50, time.Minute, 1000
	}
	ns := farNetwork(t)
	pg := databasetest.NewInstance(t, netip.PrefixFrom(databaseAddr, 24))
	db := databasetest.Reopen(t, database.PostgreSQL, pg.URL())
	if err := database.Migrate(t.Context(), db, clusterSchema()); err != nil {
		t.Fatal(err)
	}
	far := &child{addr: netip.AddrPortFrom(farAddr, 8443).String(), where: pg.URLAt(databaseAddr), prefix: []string{"ip", "netns", "exec", ns}}
	all := []*child{{addr: freeAddr(t), where: pg.URL()}, {addr: freeAddr(t), where: pg.URL()}, far, {addr: freeAddr(t), where: pg.URL()}}
	t.Cleanup(func() {
		for _, c := range all {
			c.kill()
		}
	})
	one, two, added := all[0], all[1], all[3]
	for _, c := range []*child{one, two, far} {
		c.start(t)
	}
	url := balancer(t, all)
	f := send(t, taps, addTaps(t, newNode(t, db, DefaultConfig()), taps), func() []string { return []string{url} })
	f.further(t, some)

	one.kill()
	f.further(t, some)
	added.start(t)
	f.further(t, some)
	one.start(t)
	for _, c := range []*child{two, added, far} {
		failed := f.again.Load() - f.slow.Load()
		c.roll(t)
		f.further(t, some)
		if n := f.again.Load() - f.slow.Load() - failed; n > int64(taps) {
			t.Errorf("while a node was rolled, %d tries failed", n)
		}
	}

	pg.Kill(t)
	time.Sleep(gone)
	pg.Start(t)
	f.further(t, some)

	holdsLease(t, db, far, all)
	mend := cutOff(t, ns)
	eventually(t, "another node holds the lease", func() bool { return holder(db) != far.id && holder(db) != "" })
	time.Sleep(gone)
	f.further(t, some)
	mend()
	f.further(t, some)
	f.stop()
	for _, c := range all {
		if c != far { // whose connections may still be finding out
			c.leave(t)
		}
	}
	f.check(t, db)
	checkWork(t, db)
}

// holder is the node that holds the lease of the work.
func holder(db *database.DB) (id string) {
	_ = db.QueryRow(context.Background(), `SELECT holder FROM leases WHERE name = 'work' AND until_us > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`).Scan(&id)
	return id
}

// holdsLease drains whoever holds the lease until the one node does.
func holdsLease(t *testing.T, db *database.DB, want *child, all []*child) {
	t.Helper()
	m := newNode(t, db, DefaultConfig())
	eventually(t, "the node to be cut off holds the lease", func() bool {
		h := holder(db)
		for _, c := range all {
			if c != want && c.id == h {
				_, _ = m.Drain(t.Context(), h, true)
			}
		}
		return h == want.id
	})
	for _, c := range all {
		if c != want {
			if _, err := m.Drain(t.Context(), c.id, false); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func checkWork(t *testing.T, db *database.DB) {
	t.Helper()
	var rows, periods, nodes int
	if err := db.QueryRow(t.Context(), `SELECT COUNT(*), COUNT(DISTINCT period_us), COUNT(DISTINCT node) FROM test_work`).Scan(&rows, &periods, &nodes); err != nil {
		t.Fatal(err)
	}
	if rows != periods || nodes < 2 {
		t.Errorf("%d pieces of work were done for %d periods, by %d nodes", rows, periods, nodes)
	}
	t.Logf("%d periods, each worked on once, by %d nodes", periods, nodes)
}
