package node

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/memory"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/node/cluster"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

// said returns what a status finds short of a node, "" when it is not that.
func said(s Status, what, node string) string {
	i := slices.IndexFunc(s.Findings, func(f Finding) bool { return f.What == what && strings.Contains(f.Node, node[:8]) })
	if i < 0 {
		return ""
	}
	return s.Findings[i].Shows
}

// foundShort waits until the status of the cluster, as a node gives it, names
// what is short of a node, by what shows it. Machines that run tests are busy:
// that the processor is short may be said beside it at any time.
func foundShort(t *testing.T, ask *Node, what, of, shows string) {
	t.Helper()
	within(t, "the status names "+what+" of the node, since "+shows, func() bool {
		s, err := ask.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(said(s, what, of), shows)
	})
}

// slowWire is a proxy that holds back each piece of what its far end answers,
// as a network or a server does that is slow, or lets so many bytes a second
// through to it, as a thin line does.
type slowWire struct {
	wait   atomic.Int64 // nanoseconds before each piece of an answer
	perSec atomic.Int64 // bytes to the far end; 0 is any number

	mu   sync.Mutex
	far  string     // where it leads
	ends []net.Conn // of what it carries
}

// move has it lead elsewhere from now on, as a name does that is given to
// another server; what it carries ends.
func (w *slowWire) move(far string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.far = far
	for _, c := range w.ends {
		_ = c.Close()
	}
	w.ends = nil
}

// dial connects to the far end.
func (w *slowWire) dial(network string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, err := net.Dial(network, w.far)
	if err == nil {
		w.ends = append(w.ends, c)
	}
	return c, err
}

// listen joins connections to a port of its own with a far end.
func (w *slowWire) listen(t *testing.T, network, far string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	w.move(far)
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			there, err := w.dial(network)
			if err != nil {
				_ = near.Close()
				continue
			}
			go w.carry(there, near, func(n int) time.Duration {
				if limit := w.perSec.Load(); limit > 0 {
					return time.Duration(n) * time.Second / time.Duration(limit)
				}
				return 0
			})
			go w.carry(near, there, func(int) time.Duration { return time.Duration(w.wait.Load()) })
		}
	}()
	return l.Addr().String()
}

func (w *slowWire) carry(to, from net.Conn, wait func(n int) time.Duration) {
	defer func() { _, _ = to.Close(), from.Close() }()
	b := make([]byte, 2048)
	for {
		n, err := from.Read(b)
		time.Sleep(wait(n))
		if _, failed := to.Write(b[:n]); err != nil || failed != nil {
			return
		}
	}
}

// TestShortOfPostgreSQL slows down the way between one of two nodes and its
// database: each of them says so of that node, and no more when it is over.
func TestShortOfPostgreSQL(t *testing.T) {
	t.Parallel()
	where := databasetest.URL(t, database.PostgreSQL)
	u, err := url.Parse(where)
	if err != nil {
		t.Fatal(err)
	}
	var wire slowWire
	q := u.Query()
	far := filepath.Join(q.Get("host"), ".s.PGSQL.5432")
	q.Del("host")
	q.Set("sslmode", "disable")
	u.Host, u.RawQuery = wire.listen(t, "unix", far), q.Encode()

	near, slow := databasetest.Reopen(t, database.PostgreSQL, where), databasetest.Reopen(t, database.PostgreSQL, u.String())
	if err := database.Migrate(t.Context(), near, Migrations()); err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Heartbeat, cfg.LeaseTerm = 4*time.Second, time.Minute
	one, two := newNode(t, near, cfg), newNode(t, slow, cfg)
	start(t, one)
	start(t, two)
	t.Cleanup(func() {
		for _, n := range []*Node{one, two} {
			if err := n.Stop(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		}
	})
	wire.wait.Store(int64(700 * time.Millisecond))
	foundShort(t, one, "postgresql", two.ID(), "one small transaction takes ")
	wire.wait.Store(int64(time.Minute)) // no heartbeat is written any more: it tells of itself all the same
	s, err := two.Status(t.Context())
	if err != nil || said(s, "postgresql", two.ID()) != "the database does not answer" || len(s.Problems) == 0 || len(s.Nodes) != 1 {
		t.Errorf("without any answer of the database it says %+v, %v", s, err)
	}
	wire.wait.Store(0)
	within(t, "it is over", func() bool {
		s, err := one.Status(t.Context())
		return err == nil && said(s, "postgresql", two.ID()) == "" && said(s, "node", two.ID()) == ""
	})
}

// beating starts a node with a heartbeat of its own pace.
func beating(t *testing.T, db *database.DB, every time.Duration) *Node {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Heartbeat = every
	n := newNode(t, db, cfg)
	start(t, n)
	t.Cleanup(func() { _ = n.Stop(context.WithoutCancel(t.Context())) })
	return n
}

// TestShortOfLocks holds a lock that the reports need, as a person with psql
// does: the small transactions of the heartbeat are quick, and the commits of
// reports are not.
func TestShortOfLocks(t *testing.T) {
	t.Parallel()
	db := databasetest.Open(t, database.PostgreSQL, Migrations())
	n := beating(t, db, time.Second)
	server, token := served(t, n), addTaps(t, n, 1)[0]
	answered := make(chan int, 1)
	if err := db.Tx(t.Context(), func(tx *database.Tx) error {
		if _, err := tx.Exec(t.Context(), `LOCK TABLE flows IN EXCLUSIVE MODE`); err != nil {
			return err
		}
		body := smallReport(t, "tap-0", 1)
		go func() {
			status, _, _ := post(server, token, body)
			answered <- status
		}()
		time.Sleep(busyFactor*commitSlowMS*time.Millisecond + time.Second)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if status := <-answered; status != http.StatusOK {
		t.Errorf("the report is answered %d", status)
	}
	foundShort(t, n, "postgresql", n.ID(), "ms for its commit")
}

// TestShortOfConnections holds all but the last connection, again and again.
func TestShortOfConnections(t *testing.T) {
	t.Parallel()
	db := databasetest.Open(t, database.PostgreSQL, Migrations())
	n := beating(t, db, 3*time.Second)
	ctx, cancel := context.WithCancel(t.Context())
	var done atomic.Int64
	for range 3 * db.Pool().MaxOpenConnections {
		done.Add(1)
		go func() {
			defer done.Add(-1)
			for ctx.Err() == nil {
				_ = db.Tx(ctx, func(tx *database.Tx) error {
					_, err := tx.Exec(ctx, `SELECT pg_sleep(0.4)`)
					return err
				})
			}
		}()
	}
	foundShort(t, n, "connections", n.ID(), fmt.Sprintf("for one of %d connections", db.Pool().MaxOpenConnections))
	cancel()
	within(t, "the connections are free", func() bool { return done.Load() == 0 })
}

// TestShortOfLink sends a report over a thin line: it takes seconds to arrive,
// and a moment to be committed.
func TestShortOfLink(t *testing.T) {
	t.Parallel()
	db := databasetest.Open(t, database.SQLite, Migrations())
	n := beating(t, db, time.Second)
	var wire slowWire
	server, token := served(t, n), addTaps(t, n, 1)[0]
	addr := wire.listen(t, "tcp", strings.TrimPrefix(server, "http://"))
	r := reporttest.New(1, network.Identity{Tap: "tap-0", Boot: reporttest.Boot(1), Sequence: 1}, time.Now(), reporttest.Size{Flows: 2000})
	body, err := report.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	wire.perSec.Store(int64(len(body) / 6))
	if status, text := give(t, "http://"+addr, token, body); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	foundShort(t, n, "link", n.ID(), "ms to arrive")
}

// TestShortChild is a node with little: it serves reports and its status, and
// burns its processor when it is asked to, until its input ends.
func TestShortChild(t *testing.T) {
	where := os.Getenv("RIND_TEST_SHORT")
	if where == "" {
		t.Skip("only in a child of the tests of what is short")
	}
	gauge := memory.Limit{Size: 64 * config.MiB}.Set()
	db := databasetest.Reopen(t, database.SQLite, where)
	cfg := DefaultConfig()
	cfg.Heartbeat = time.Second
	n, err := New(cfg, Deps{DB: db, Version: "v1", Memory: gauge})
	if err != nil {
		t.Fatal(err)
	}
	start(t, n)
	mux := http.NewServeMux()
	mux.Handle("POST /api/v1/reports", n.Handler())
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		s, err := n.Status(r.Context())
		if err != nil {
			t.Error(err)
		}
		_ = json.NewEncoder(w).Encode(s)
	})
	mux.HandleFunc("POST /burn", func(http.ResponseWriter, *http.Request) {
		go func() {
			for end := time.Now().Add(time.Minute); time.Now().Before(end); {
			}
		}()
	})
	server := httptest.NewServer(mux)
	fmt.Printf("ready %s\n", server.URL)
	_, _ = io.Copy(io.Discard, os.Stdin)
	server.Close()
	if err := n.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

// shortChild starts a node with little, and returns where it serves, and how
// to ask it for its status.
func shortChild(t *testing.T, taps int, env ...string) (server string, tokens []string, status func() Status) {
	t.Helper()
	where := databasetest.URL(t, database.SQLite)
	db := databasetest.Reopen(t, database.SQLite, where)
	if err := database.Migrate(t.Context(), db, Migrations()); err != nil {
		t.Fatal(err)
	}
	tokens = addTaps(t, newNode(t, db, DefaultConfig()), taps)
	c := &child{run: "TestShortChild", env: append(env, "RIND_TEST_SHORT="+where)}
	c.start(t)
	t.Cleanup(func() {
		if err := c.held.Close(); err != nil {
			t.Error(err)
		}
		if err := c.cmd.Wait(); err != nil {
			t.Errorf("the node ends with %v", err)
		}
	})
	return c.id, tokens, func() (s Status) {
		res, err := http.Get(c.id + "/status") //nolint:noctx // it ends with the child
		if err != nil {
			t.Error(err)
			return s
		}
		defer func() { _ = res.Body.Close() }()
		if err := json.NewDecoder(res.Body).Decode(&s); err != nil {
			t.Error(err)
		}
		return s
	}
}

// load is what the node that answered bears.
func load(t *testing.T, s Status) cluster.Load {
	t.Helper()
	i := slices.IndexFunc(s.Nodes, func(i cluster.Info) bool { return i.ID == s.This })
	if i < 0 {
		t.Fatalf("the node does not tell of itself: %+v", s)
	}
	return s.Nodes[i].Load
}

// TestShortOfCPU burns the processor of a node.
func TestShortOfCPU(t *testing.T) {
	t.Parallel()
	server, _, status := shortChild(t, 1, "GOMAXPROCS=1")
	const share = 0.2 // others may use the machine as well
	within(t, "a node without work uses little of its processor", func() bool {
		l := load(t, status())
		return l.CPU > 0 && l.CPU < share
	})
	res, err := http.Post(server+"/burn", "", nil) //nolint:noctx // it answers at once
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	within(t, "the status names cpu", func() bool {
		s := status()
		return load(t, s).CPU > share && said(s, "cpu", s.This) != ""
	})
}

// TestSmallMemoryLimit sends a node with a small limit large reports, all at once:
// it says so, refuses, and lives; what it refused is taken afterwards.
func TestSmallMemoryLimit(t *testing.T) {
	t.Parallel()
	const senders = 8
	server, tokens, status := shortChild(t, senders)
	stop := make(chan struct{})
	var refused, taken, other atomic.Int64
	ended := make(chan struct{})
	for i := range senders {
		go func() {
			defer func() { ended <- struct{}{} }()
			for n := uint64(1); ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				r := reporttest.New(n, network.Identity{Tap: network.TapID(fmt.Sprintf("tap-%d", i)), Boot: reporttest.Boot(1), Sequence: n}, time.Now(), reporttest.Size{Flows: 30_000})
				body, err := report.Encode(r)
				if err != nil {
					t.Error(err)
				}
				switch code, text, err := post(server, tokens[i], body); {
				case code == http.StatusOK:
					taken.Add(1)
				case err != nil, code == http.StatusTooManyRequests: // who does not wait for 100 Continue may be cut off
					refused.Add(1)
				default:
					t.Errorf("%d %s", code, text)
					other.Add(1)
				}
			}
		}()
	}
	within(t, "the status names memory", func() bool {
		s := status()
		return other.Load() > 0 || said(s, "memory", s.This) != ""
	})
	close(stop)
	for range senders {
		<-ended
	}
	t.Logf("%d reports were taken, %d refused", taken.Load(), refused.Load())
	last := ""
	defer func() { t.Logf("the last answer was %s", last) }()
	within(t, "it takes reports again", func() bool {
		code, text, err := post(server, tokens[0], smallReport(t, "tap-0", 1_000_000))
		last = fmt.Sprintf("%d %s %v", code, text, err)
		return err == nil && code == http.StatusOK
	})
}
