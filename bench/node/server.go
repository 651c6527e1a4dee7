package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network"
)

// server is the real `rind server` with the role node, in a process of its own.
type server struct {
	dir    string
	url    string // of the reports
	db     *database.DB
	cmd    *exec.Cmd
	taps   []network.TapID
	tokens []string
}

// startServer starts one on a new schema, with so many taps and further
// settings.
func startServer(ctx context.Context, e *engine, bin, schema string, count int, settings ...string) (_ *server, err error) {
	if _, err := os.Stat(bin); err != nil {
		return nil, fmt.Errorf("%w: build it first (make build), or name it with -bin", err)
	}
	s := &server{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	if s.db, err = e.schema(ctx, schema); err != nil {
		return nil, err
	}
	n, err := openNode(ctx, s.db)
	if err != nil {
		return nil, err
	}
	for i := range count {
		name := fmt.Sprintf("tap%d", i)
		token, err := n.Ingest().AddTap(ctx, name, 0)
		if err != nil {
			return nil, err
		}
		s.taps, s.tokens = append(s.taps, network.TapID(name)), append(s.tokens, token)
	}
	if s.dir, err = os.MkdirTemp("/var/tmp", "rind-bench-node-"); err != nil {
		return nil, err
	}
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	s.url = "https://" + addr + "/api/v1/reports"
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	args := []string{"server", "--data", s.dir, "--listen", addr}
	for _, one := range append(settings, "roles=node", "database.url="+e.url(schema)) {
		args = append(args, "--set", one)
	}
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), bin, args...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	return s, s.ready(ctx, addr)
}

func freeAddr(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// client returns an HTTP client with connections of its own.
func client(conns int) *http.Client {
	own := &tls.Config{InsecureSkipVerify: true} // #nosec G402 -- the server is this program's
	return &http.Client{Transport: &http.Transport{TLSClientConfig: own, MaxIdleConnsPerHost: conns, MaxConnsPerHost: conns}}
}

func (s *server) ready(ctx context.Context, addr string) error {
	ask := client(1)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+"/readyz", nil)
		if err != nil {
			return err
		}
		resp, err := ask.Do(req)
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
	said, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return fmt.Errorf("the server is not ready within a minute:\n%s", said)
}

// rss is what the process takes of memory, in bytes.
func (s *server) rss() (int64, error) { return s.status("VmRSS:") }

// status reads a size that the kernel says of the process.
func (s *server) status(name string) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), name)
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0, errors.New("the server is gone")
	}
	kib, err := strconv.ParseInt(fields[0], 10, 64)
	return kib << 10, err
}

// stop ends the process that this program started, and removes its folder.
func (s *server) stop() error {
	var err error
	if s.cmd != nil && s.cmd.Process != nil {
		err = s.cmd.Process.Signal(syscall.SIGTERM)
		_ = s.cmd.Wait()
	}
	if s.db != nil {
		_ = s.db.Close()
	}
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}
