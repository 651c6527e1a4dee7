package natsd_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/natsd"
)

// cluster is several servers of one fleet, each with a data folder of its own.
type cluster struct {
	t       *testing.T
	ca      *pki.CA
	dirs    []string
	cfgs    []natsd.Config
	servers []*fleetBus // nil: not running
}

// freePorts asks the system for ports, all at once, so that they differ.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var addrs []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs
}

// newCluster prepares n servers, of which the first `stores` keep streams, and
// starts none.
func newCluster(t *testing.T, n, stores int) *cluster {
	t.Helper()
	ca, err := pki.OpenCA(filepath.Join(t.TempDir(), "pki"))
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, ca: ca, servers: make([]*fleetBus, n)}
	addrs := freePorts(t, n)
	first := t.TempDir()
	if _, err := natsd.OpenKeys(filepath.Join(first, "keys")); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		cfg := testConfig()
		cfg.Cluster.LeaderTimeout = 3 * time.Minute // votes are lost on a busy machine
		cfg.JetStream.Enabled = i < stores
		cfg.Cluster.Listen = addrs[i]
		for j := range stores {
			if i > 0 && j != i { // the first one is told of nobody: it begins
				cfg.Cluster.Routes = append(cfg.Cluster.Routes, addrs[j])
			}
		}
		dir := first
		if i > 0 {
			dir = t.TempDir()
			if err := os.CopyFS(filepath.Join(dir, "keys"), os.DirFS(filepath.Join(first, "keys"))); err != nil {
				t.Fatal(err)
			}
			closeToOthers(t, filepath.Join(dir, "keys"))
		}
		c.dirs, c.cfgs = append(c.dirs, dir), append(c.cfgs, cfg)
	}
	return c
}

// closeToOthers gives copied keys the mode that they need.
func closeToOthers(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := os.Chmod(f, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// tls are the certificates of the fleet, for clients, routes and peels.
func (c *cluster) tls() (server, route, client *tls.Config) {
	c.t.Helper()
	server, err := c.ca.ServerTLS([]string{"127.0.0.1", pki.BusName})
	if err != nil {
		c.t.Fatal(err)
	}
	if route, err = c.ca.RouteTLS(); err != nil {
		c.t.Fatal(err)
	}
	if client, err = pki.BusTLS(c.ca.CertPEM()); err != nil {
		c.t.Fatal(err)
	}
	return server, route, client
}

func (c *cluster) start(i int) *fleetBus {
	c.t.Helper()
	server, route, client := c.tls()
	b := &fleetBus{t: c.t, client: client, log: &logBuffer{}}
	b.Server = natsd.New(c.cfgs[i], natsd.Deps{
		Log: slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})).With("server", strconv.Itoa(i)), DataDir: c.dirs[i], TLS: server, RouteTLS: route,
	})
	if err := b.Start(c.t.Context()); err != nil {
		c.t.Fatalf("starting server %d: %v", i, err)
	}
	c.servers[i] = b
	c.t.Cleanup(func() { c.stop(i) })
	return b
}

func (c *cluster) stop(i int) {
	c.t.Helper()
	b := c.servers[i]
	if b == nil {
		return
	}
	c.servers[i] = nil
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := b.Stop(ctx); err != nil {
		c.t.Errorf("stopping server %d: %v", i, err)
	}
}

// startAll starts every server, and waits until there is a leader.
func (c *cluster) startAll() {
	c.t.Helper()
	for i := range c.servers {
		c.start(i)
	}
	c.lead()
}

func (c *cluster) lead() {
	c.t.Helper()
	for _, b := range c.servers {
		if b != nil {
			if err := b.WaitLeader(c.t.Context()); err != nil {
				c.t.Fatal(err)
			}
			if err := b.BringIn(c.t.Context()); err != nil {
				c.t.Fatal(err)
			}
		}
	}
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within a minute: %s", what)
}

func TestThreeServersAndACarrier(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4, 3)
	began := time.Now()
	c.startAll()
	t.Logf("leader after %s", time.Since(began))
	eventually(t, "three servers that keep streams", func() bool {
		got, err := c.servers[3].Capacity(t.Context())
		return err == nil && got.Servers == 3 && got.Store == 2<<30
	})
	eventually(t, "the addresses of all four", func() bool {
		urls := c.servers[0].ClientURLs()
		return len(urls) == 4 && slices.Contains(urls, c.servers[3].Addr())
	})
	if always, every := c.servers[0].Synced(); always || every != 2*time.Minute {
		t.Errorf("synced always: %v, every %s", always, every)
	}
}

func TestOneServerWithStreamsAndACarrier(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, 1)
	c.startAll()
	js := c.servers[0].ensured()
	if got := stream(t, js, "KV_jobs").Replicas; got != 1 {
		t.Errorf("%d replicas", got)
	}
	c.stop(1)
	c.stop(0)
	c.start(0)
	c.start(1)
	c.lead()
	stream(t, c.servers[1].js(c.servers[1].master()), "KV_jobs")
}

// A server hears of each connection that another one has, but not with each of
// them how many those are by now: with N servers that were 2 (N-1) messages.
func TestConnectionCountsStayAtHome(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, 1)
	c.startAll()
	sys := c.servers[0].local(c.servers[0].SystemUser)
	came, counts := make(chan string, 64), make(chan string, 64)
	for subject, to := range map[string]chan string{"$SYS.ACCOUNT.*.CONNECT": came, "$SYS.SERVER.ACCOUNT.*.CONNS": counts} {
		if _, err := sys.Subscribe(subject, func(m *nats.Msg) { to <- string(m.Data) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := sys.Flush(); err != nil {
		t.Fatal(err)
	}
	server := func(event string) string {
		var e struct {
			Server struct {
				ID string `json:"id"`
			} `json:"server"`
		}
		if err := json.Unmarshal([]byte(event), &e); err != nil || e.Server.ID == "" {
			t.Fatalf("%v: %s", err, event)
		}
		return e.Server.ID
	}
	there := ""
	for n := 0; there == ""; n++ { // until the interest has come to the other server
		if n == 50 {
			t.Fatal("the other server's connections are not told")
		}
		id := fleet.PeelID("counted-" + strconv.Itoa(n))
		c.servers[1].peel(id).Close()
		select {
		case event := <-came:
			if strings.Contains(event, "counted-") {
				there = server(event)
			}
		case <-time.After(200 * time.Millisecond):
		}
	}
	c.servers[1].peel("one-more").Close()
	for !strings.Contains(<-came, "one-more") {
	}
	c.servers[0].peel("at-home").Close() // whose count comes to those who ask at its own server
	for {
		select {
		case event := <-counts:
			if server(event) == there {
				t.Errorf("told by the other server: %s", event)
			}
			continue
		case <-time.After(time.Second):
		}
		return
	}
}

func TestOneServerAloneInItsCluster(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, 1)
	for range 2 {
		began := time.Now()
		c.startAll()
		t.Logf("leads after %s", time.Since(began))
		stream(t, c.servers[0].ensured(), "KV_jobs")
		c.stop(0)
	}
}

func TestFromOneServerToThree(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, 3)
	alone := startBusWith(t, c.dirs[0], testConfig())
	kv, err := alone.ensured().KeyValue(t.Context(), bus.Jobs)
	if err != nil {
		t.Fatal(err)
	}
	var revision uint64
	for i := range 2000 {
		if revision, err = kv.PutString(t.Context(), "j"+strconv.Itoa(i%100), strings.Repeat(strconv.Itoa(i)+" ", 300)); err != nil {
			t.Fatal(err)
		}
	}
	first, err := kv.Get(t.Context(), "j0")
	if err != nil {
		t.Fatal(err)
	}
	if err := alone.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}

	b := c.start(0)
	c.lead()
	js := b.ensured()
	check := func(js jetstream.JetStream) {
		t.Helper()
		kv, err := js.KeyValue(t.Context(), bus.Jobs)
		if err != nil {
			t.Fatal(err)
		}
		got, err := kv.Get(t.Context(), "j0")
		if err != nil || string(got.Value()) != string(first.Value()) || got.Revision() != first.Revision() || !got.Created().Equal(first.Created()) {
			t.Fatalf("j0: %v, %v", got, err)
		}
		last, err := kv.Get(t.Context(), "j99")
		if err != nil || last.Revision() != revision {
			t.Fatalf("j99: %v, %v, want revision %d", last, err, revision)
		}
		history, err := kv.History(t.Context(), "j5")
		if err != nil || len(history) != 10 {
			t.Fatalf("the history of j5 has %d entries, %v", len(history), err)
		}
	}
	check(js)

	nc := b.master()
	k := bus.NewKeeper(func() *nats.Conn { return nc }, b.Capacity, slog.New(slog.NewTextHandler(b.log, nil)))
	if err := k.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer k.Stop(t.Context())
	c.start(1)
	c.start(2)
	c.lead()
	all := 0
	for range js.StreamNames(t.Context()).Name() {
		all++
	}
	eventually(t, "three replicas of each", func() bool {
		list := js.ListStreams(t.Context())
		n := 0
		for info := range list.Info() {
			if info.Config.Replicas != 3 || info.Cluster == nil || info.Cluster.Leader == "" || len(info.Cluster.Replicas) != 2 {
				return false
			}
			for _, r := range info.Cluster.Replicas {
				if !r.Current {
					return false
				}
			}
			n++
		}
		return n == all && n >= len(bus.Buckets()) && list.Err() == nil
	})
	c.stop(0) // the only one that had them
	c.lead()
	check(c.servers[1].js(c.servers[1].master()))
}
