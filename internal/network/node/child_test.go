package node

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/network/node/cluster"
)

// The period of the work that the nodes of TestCluster do, once for each.
const workPeriod = 250 * time.Millisecond

// TestNodeChild is a node of TestCluster, in a process of its own: it serves
// until SIGTERM, and then leaves as a server does.
func TestNodeChild(t *testing.T) {
	where, listen := os.Getenv("RIND_TEST_DATABASE"), os.Getenv("RIND_TEST_LISTEN")
	if where == "" {
		t.Skip("only in a child of TestCluster")
	}
	db := databasetest.Reopen(t, database.PostgreSQL, where)
	version, schema := "v1", clusterSchema()
	if os.Getenv("RIND_TEST_NEWER") != "" {
		version, schema = "v2", append(schema, newerSchema)
	}
	if err := database.Migrate(t.Context(), db, schema); err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Heartbeat, cfg.LeaseTerm, cfg.DrainWait = 500*time.Millisecond, 4*time.Second, time.Second
	n, err := New(cfg, Deps{DB: db, Version: version, Roles: []string{"node"}})
	if err != nil {
		t.Fatal(err)
	}
	start(t, n)
	n.member.Go(func(ctx context.Context) {
		n.member.Hold(ctx, "work", func(ctx context.Context, l *cluster.Lease) {
			for ctx.Err() == nil {
				_, _ = n.member.Once(ctx, l, "work", workPeriod, func(tx *database.Tx, begin time.Time) error {
					_, err := tx.Exec(ctx, `INSERT INTO test_work (node, period_us) VALUES ($1, $2)`, n.ID(), begin.UnixMicro())
					return err
				})
				time.Sleep(workPeriod / 5)
			}
		})
	})
	var leaving atomic.Bool
	mux := http.NewServeMux()
	mux.Handle("POST /api/v1/reports", n.Handler())
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if leaving.Load() || n.Check(ctx) != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(ln) }()
	go func() { // until the test process is gone, however it ended
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	fmt.Printf("ready %s\n", n.ID())
	<-told
	leaving.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	n.Leave(ctx)
	if err := errors.Join(server.Shutdown(ctx), n.Stop(ctx)); err != nil {
		t.Error(err)
	}
}

func clusterSchema() []database.Migration {
	return append(Migrations(), database.Migration{Name: "test/0001_work", SQL: "CREATE TABLE test_work (node TEXT NOT NULL, period_us BIGINT NOT NULL);\n"})
}

// newerSchema is what the next release would add: it expands, and takes nothing
// away that a node of this one uses.
var newerSchema = database.Migration{Name: "test/0002_newer", SQL: `ALTER TABLE flows ADD COLUMN test_newer TEXT;
ALTER TABLE taps ADD COLUMN test_newer BIGINT NOT NULL DEFAULT 0;
CREATE TABLE test_newer (tap TEXT PRIMARY KEY, n BIGINT NOT NULL);
CREATE INDEX test_newer_n ON test_newer (n);
`}

// child is a node in a process of its own.
type child struct {
	run         string   // the test that it is; TestNodeChild when empty
	env         []string // further variables
	newer       bool     // of the next release
	addr, where string
	prefix      []string // such as ip netns exec NAME
	cmd         *exec.Cmd
	held        io.Closer // its input: it ends with it
	id          string
}

func (c *child) command() *exec.Cmd {
	args := append(append([]string{}, c.prefix...), os.Args[0], "-test.run=^"+cmp.Or(c.run, "TestNodeChild")+"$")
	cmd := exec.CommandContext(context.Background(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "RIND_TEST_DATABASE="+c.where, "RIND_TEST_LISTEN="+c.addr)
	cmd.Env = append(cmd.Env, c.env...)
	if c.newer {
		cmd.Env = append(cmd.Env, "RIND_TEST_NEWER=1")
	}
	return cmd
}

func (c *child) start(t *testing.T) {
	t.Helper()
	c.cmd = c.command()
	c.cmd.Stderr = os.Stderr
	held, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.held = held
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := ""
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		said += lines.Text() + "\n"
		if id, ok := strings.CutPrefix(lines.Text(), "ready "); ok {
			c.id = id
			go func() {
				for lines.Scan() { // it must not wait for a reader
				}
			}()
			return
		}
	}
	t.Fatalf("the node does not start: %s", said)
}

// kill ends it as a power failure does.
func (c *child) kill() {
	if c.cmd == nil {
		return
	}
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait() // it was killed
	c.cmd = nil
}

// roll stops it as an upgrade does, and starts it again.
func (c *child) roll(t *testing.T) {
	t.Helper()
	c.leave(t)
	c.start(t)
}

func (c *child) leave(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Wait(); err != nil {
		t.Errorf("a node that was told to stop ends with %v", err)
	}
	c.cmd = nil
}
