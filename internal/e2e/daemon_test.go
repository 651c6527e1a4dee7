package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// buffer is a log that a process writes and a test reads.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// proc is a process that a test started.
type proc struct {
	*exec.Cmd
	out, errOut *buffer
	done        chan struct{}
	err         error
}

// start starts a program, in a network namespace when ns is not "". It is
// stopped by its id when the test ends.
func start(t *testing.T, ns string, env []string, name string, args ...string) *proc {
	t.Helper()
	if ns != "" {
		args = append([]string{"netns", "exec", ns, name}, args...)
		name = "ip"
	}
	p := &proc{Cmd: exec.Command(name, args...), out: &buffer{}, errOut: &buffer{}, done: make(chan struct{})}
	p.Env = append(os.Environ(), env...)
	p.Stdout, p.Stderr = p.out, p.errOut
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.WaitDelay = 5 * time.Second
	if err := p.Start(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	go func() {
		p.err = p.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("%s %s\n--- out\n%s--- err\n%s", name, strings.Join(args, " "), p.out, p.errOut)
		}
	})
	return p
}

func (p *proc) stop(t *testing.T) {
	t.Helper()
	_ = p.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		t.Errorf("%s did not end within 30 s of SIGTERM", p.Path)
		p.kill9()
	}
}

func (p *proc) kill9() {
	_ = p.Process.Kill()
	<-p.done
}

func (p *proc) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// eventually waits until ok returns nil, and fails with its last error.
func eventually(t *testing.T, limit time.Duration, what string, ok func() error) {
	t.Helper()
	var err error
	for began := time.Now(); time.Since(began) < limit; time.Sleep(100 * time.Millisecond) {
		if err = ok(); err == nil {
			return
		}
	}
	t.Fatalf("not within %s: %s: %v", limit, what, err)
}

// answer is what a command said.
type answer struct {
	code     int
	out, err string
}

// command runs a program to its end, within a minute.
func command(t *testing.T, env []string, name string, args ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out, errOut bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), &out, &errOut
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%s %s hung", filepath.Base(name), strings.Join(args, " "))
	}
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatalf("%s: %v", name, err)
	}
	return answer{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// server is a data folder with the socket of the server that runs on it.
type server struct{ dir string }

func newServer(t *testing.T) server {
	t.Helper()
	dir, err := os.MkdirTemp("", "rind-e2e-data-") // t.TempDir's long path is more than a unix socket takes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	_ = os.Chmod(dir, 0o755)
	return server{dir}
}

func (s server) socket() string { return filepath.Join(s.dir, "rind.sock") }

// rind runs the operator's command line against the server.
func (s server) rind(t *testing.T, args ...string) answer {
	t.Helper()
	return command(t, []string{"RIND_SOCKET=" + s.socket(), "NO_COLOR=1"}, program(t, "rind"), args...)
}

// get asks the API through the socket.
func (s server) get(path string, into any) error {
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", s.socket())
		},
	}}
	resp, err := client.Get("http://rind/api/v1" + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s %s", path, resp.Status, body)
	}
	return json.Unmarshal(body, into)
}
