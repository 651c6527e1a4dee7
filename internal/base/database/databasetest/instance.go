package databasetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/database/postgres"
)

// Instance is a PostgreSQL of a test's own, on 127.0.0.1, which the test may
// kill, start again, follow with a standby, and promote.
type Instance struct {
	bin, dir, data string
	port           int
	listen         string // its addresses
	owner          *syscall.Credential
	held           *os.File // closed, or collected with the process: the server ends
	running        *exec.Cmd
	env            []string // of the server, beside what every one has
}

// NewInstance makes a cluster and starts its server. It skips the test on a
// machine without PostgreSQL. further are addresses of this machine beside
// 127.0.0.1, from whose networks anybody may connect.
func NewInstance(t testing.TB, further ...netip.Prefix) *Instance {
	t.Helper()
	i := newInstance(t)
	i.command(t, "initdb", "-D", i.data, "-U", "rind", "--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C")
	for _, p := range further {
		i.listen += "," + p.Addr().String()
		i.append(t, "pg_hba.conf", "host all all "+p.Masked().String()+" trust\n")
	}
	i.Start(t)
	return i
}

func newInstance(t testing.TB) *Instance {
	t.Helper()
	i := &Instance{listen: "127.0.0.1", bin: binaries("/usr/lib/postgresql", os.Getenv("PATH"))}
	if i.bin == "" {
		t.Skip("skipped: no initdb and postgres on this machine; install PostgreSQL to run it")
	}
	var err error
	if i.dir, i.owner, err = workFolder(); err != nil {
		t.Fatal(err)
	}
	i.data = filepath.Join(i.dir, "data")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	i.port = l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		i.Kill(t)
		if err := os.RemoveAll(i.dir); err != nil {
			t.Error(err)
		}
	})
	return i
}

// append adds to a file of the cluster's configuration.
func (i *Instance) append(t testing.TB, name, text string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(i.data, name), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// command runs a program of PostgreSQL to its end.
func (i *Instance) command(t testing.TB, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(i.bin, name), args...)
	cmd.Dir, cmd.Env = i.dir, []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TMPDIR=" + i.dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: i.owner}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// serve runs the server until the end of its input, as keeper does.
const serve = `
"$1/postgres" -D "$2" -p "$3" -k "$4" -c listen_addresses="$5" \
	-c fsync=off -c full_page_writes=off -c wal_level=replica -c max_wal_senders=5 -c hot_standby=on \
	-c autovacuum=off -c jit=off -c shared_buffers=32MB -c dynamic_shared_memory_type=mmap -c max_connections=100 >>"$4/log" 2>&1 </dev/null &
server=$!
cat >/dev/null
kill -QUIT $server 2>/dev/null
wait $server
`

// Start starts the server, and waits until it answers.
func (i *Instance) Start(t testing.TB) {
	t.Helper()
	held, release, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	i.held = release
	i.running = exec.CommandContext(context.Background(), "/bin/sh", "-c", serve, "sh", i.bin, i.data, strconv.Itoa(i.port), i.dir, i.listen)
	i.running.Stdin = held
	i.running.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TMPDIR=" + i.dir}
	i.running.Env = append(i.running.Env, i.env...)
	i.running.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: i.owner}
	if err := i.running.Start(); err != nil {
		t.Fatal(err)
	}
	_ = held.Close() // the shell has its copy
	for end := time.Now().Add(startTimeout); ; time.Sleep(20 * time.Millisecond) {
		var answer string
		if err := i.ask(t, `SELECT 'yes'`, &answer); err == nil {
			return
		} else if time.Now().After(end) {
			log, _ := os.ReadFile(filepath.Join(i.dir, "log"))
			t.Fatalf("PostgreSQL does not start: %v\n%s", err, log)
		}
	}
}

// Kill ends the server at once, as a crash does: what was not committed is
// lost, and clients get no word.
func (i *Instance) Kill(t testing.TB) {
	t.Helper()
	if i.running == nil {
		return
	}
	_ = i.held.Close()
	_ = i.running.Wait() // it was killed
	i.running = nil
}

// Clock starts the server again with a clock that is off by so much, which
// libfaketime tells it. It skips the test where that is not installed.
func (i *Instance) Clock(t testing.TB, off time.Duration) {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
	if len(found) == 0 {
		t.Skip("skipped: no libfaketime on this machine; install it (apt install libfaketime) to run it")
	}
	i.Kill(t)
	i.env = nil
	if off != 0 {
		i.env = []string{"LD_PRELOAD=" + found[0], fmt.Sprintf("FAKETIME=%+ds", int(off.Seconds())), "FAKETIME_DONT_FAKE_MONOTONIC=1"}
	}
	i.Start(t)
}

// Standby makes a server that streams from this one, and starts it. From then
// on a commit is acknowledged when the standby has it as well.
func (i *Instance) Standby(t testing.TB) *Instance {
	t.Helper()
	s := newInstance(t)
	s.command(t, "pg_basebackup", "-D", s.data, "-h", "127.0.0.1", "-p", strconv.Itoa(i.port), "-U", "rind", "-R", "-X", "stream", "-c", "fast", "--no-sync")
	s.Start(t)
	i.Run(t, `ALTER SYSTEM SET synchronous_standby_names = '*'`)
	i.Run(t, `SELECT pg_reload_conf()`)
	for end := time.Now().Add(startTimeout); ; time.Sleep(20 * time.Millisecond) {
		var state string
		err := i.ask(t, `SELECT COALESCE(MAX(sync_state), '') FROM pg_stat_replication`, &state)
		if err == nil && state == "sync" {
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("the standby does not stream: %q, %v", state, err)
		}
	}
}

// Promote makes a standby the primary.
func (i *Instance) Promote(t testing.TB) {
	t.Helper()
	i.Run(t, `SELECT pg_promote(true, 60)`)
}

// Run runs a statement as the superuser, outside of a transaction.
func (i *Instance) Run(t testing.TB, sql string, args ...any) {
	t.Helper()
	pool, err := postgres.Pool(i.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pool.Close() }()
	if _, err := pool.ExecContext(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// ask reads one value.
func (i *Instance) ask(t testing.TB, sql string, dest any) error {
	pool, err := postgres.Pool(i.URL())
	if err != nil {
		return err
	}
	defer func() { _ = pool.Close() }()
	return pool.QueryRowContext(t.Context(), sql).Scan(dest)
}

// URL leads to the server alone.
func (i *Instance) URL() string { return URLOf(i) }

// Addr is the server's address and port.
func (i *Instance) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(i.port)) }

// Refused opens a database that cannot serve, and returns why.
func Refused(t testing.TB, where string) error {
	t.Helper()
	db, err := postgres.Open(t.Context(), where)
	if err == nil {
		_ = db.Close()
		t.Fatalf("%s is opened", where)
	}
	return err
}

// URLAt leads to the server at one of its further addresses.
func (i *Instance) URLAt(a netip.Addr) string {
	return fmt.Sprintf("postgres://rind@%s/postgres?sslmode=disable", netip.AddrPortFrom(a, uint16(i.port)))
}

// URLOf leads to the one of several servers that takes writes.
func URLOf(all ...*Instance) string {
	var hosts, ports []string
	for _, i := range all {
		hosts, ports = append(hosts, "127.0.0.1"), append(ports, strconv.Itoa(i.port))
	}
	q := url.Values{"host": {strings.Join(hosts, ",")}, "port": {strings.Join(ports, ",")}, "sslmode": {"disable"}}
	return fmt.Sprintf("postgres://rind@/postgres?%s", q.Encode())
}
