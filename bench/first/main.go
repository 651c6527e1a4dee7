// Command first measures what a new user notices first: how large the binaries
// are, how long `rind up` takes to the first ping answered and to the first
// flow on a page, and how much memory each process holds when idle.
//
// It starts the real binaries on loopback in a temporary folder, as whoever
// runs it; without CAP_NET_RAW the tap is left out and said to be.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	bin := flag.String("bin", "bin", "folder of the binaries")
	idle := flag.Duration("idle", 30*time.Second, "how long the processes idle before their memory is read")
	flag.Parse()
	if err := run(*bin, *idle); err != nil {
		fmt.Fprintln(os.Stderr, "first:", err)
		os.Exit(1)
	}
}

// The budgets that the figures are compared with.
const (
	mib           = 1 << 20
	peelRSS       = 20 * mib
	serverRSS     = 120 * mib
	firstPing     = 20 * time.Second
	firstFlow     = 60 * time.Second
	startDeadline = 2 * time.Minute
)

func run(bin string, idle time.Duration) error {
	sizes(bin)
	dir, err := os.MkdirTemp("", "rind-first-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startDeadline+idle)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "rind"), "up", "--data", dir,
		"--listen", "127.0.0.1:0", "--bus-listen", "127.0.0.1:0", "--interface", "lo")
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}()
	if err := firsts(ctx, bin, filepath.Join(dir, "rind.sock"), began); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(idle):
	}
	return memory(cmd.Process.Pid)
}

func result(name string, ours, limit float64, unit string) {
	fmt.Printf("RESULT name=%s ours=%.4g%s limit=%.4g%s ratio=%.2f\n", name, ours, unit, limit, unit, ours/limit)
}

func sizes(bin string) {
	for _, name := range []string{"rind", "rind-peel", "rind-tap"} {
		if info, err := os.Stat(filepath.Join(bin, name)); err == nil {
			fmt.Printf("size %-10s %6.1f MiB\n", name, float64(info.Size())/mib)
		}
	}
}

// firsts waits for the first answer to a ping and for the first flow.
func firsts(ctx context.Context, bin, socket string, began time.Time) error {
	err := until(ctx, func() error {
		ping := exec.CommandContext(ctx, filepath.Join(bin, "rind"), "*", "test.ping", "--timeout", "500ms")
		ping.Env = append(os.Environ(), "RIND_SOCKET="+socket)
		return ping.Run()
	})
	if err != nil {
		return fmt.Errorf("waiting for the first ping: %w", err)
	}
	result("up-to-first-ping", time.Since(began).Seconds(), firstPing.Seconds(), "s")
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
	err = until(ctx, func() error {
		var out struct{ Flows []json.RawMessage }
		if err := get(ctx, client, "/api/v1/flows", &out); err != nil {
			return err
		}
		if len(out.Flows) == 0 {
			return errors.New("no flow yet")
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the first flow: %w", err)
	}
	result("up-to-first-flow", time.Since(began).Seconds(), firstFlow.Seconds(), "s")
	return nil
}

func until(ctx context.Context, ok func() error) error {
	for {
		err := ok()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func get(ctx context.Context, client *http.Client, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://rind"+path, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, body)
	}
	return json.Unmarshal(body, into)
}

// memory prints the resident memory of the server and of its descendants.
func memory(pid int) error {
	all, err := tree(pid)
	if err != nil {
		return err
	}
	for _, p := range all {
		switch {
		case p.pid == pid:
			result("rss-server", float64(p.rss)/mib, serverRSS/mib, "MiB")
		case strings.Contains(p.args, "rind-peel"):
			result("rss-peel", float64(p.rss)/mib, peelRSS/mib, "MiB")
		default:
			fmt.Printf("rss  %-10s %6.1f MiB  (%s)\n", p.name, float64(p.rss)/mib, p.args)
		}
	}
	return nil
}

type process struct {
	pid, parent int
	rss         int64
	name, args  string
}

// tree reads a process and its descendants from /proc (proc(5)).
func tree(root int) ([]process, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	byPID := map[int]process{}
	for _, d := range dirs {
		if p, err := readProcess(d); err == nil {
			byPID[p.pid] = p
		}
	}
	var out []process
	for _, p := range byPID {
		for q, depth := p, 0; depth < 8; q, depth = byPID[q.parent], depth+1 {
			if q.pid == root {
				out = append(out, p)
				break
			}
		}
	}
	return out, nil
}

func readProcess(dir string) (p process, err error) {
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return p, err
	}
	cmdline, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
	args := strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00")
	p.name = filepath.Base(args[0])
	p.args = strings.Join(args[:min(len(args), 4)], " ")
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		n, _ := strconv.ParseInt(fields[0], 10, 64)
		switch key {
		case "Pid":
			p.pid = int(n)
		case "PPid":
			p.parent = int(n)
		case "VmRSS":
			p.rss = n << 10
		}
	}
	return p, nil
}
