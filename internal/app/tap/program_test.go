package tap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report"
)

// built is the real binary, built once for all tests.
var built struct {
	once sync.Once
	dir  string
	err  error
}

// program returns the path of the real binary.
func program(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "rind-tap-"); built.err != nil {
			return
		}
		_ = os.Chmod(built.dir, 0o755) // the parsing process is another user's
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", filepath.Join(built.dir, "rind-tap"), "../../../cmd/rind-tap")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("building rind-tap: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "rind-tap")
}

// running is a tap that runs, of two processes.
type running struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  *lockedBuffer
	data string
	conf string
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startTap writes a configuration and starts the real binary with it.
func startTap(t *testing.T, data, conf, text string) *running {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: capturing needs root")
	}
	r := &running{t: t, out: &lockedBuffer{}, data: data, conf: conf}
	r.write(text)
	r.cmd = exec.Command(program(t), "run", "--config", conf, "--data", data, "--set", "user=nobody")
	r.cmd.Stdout, r.cmd.Stderr = r.out, r.out
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.stop)
	return r
}

// write writes the configuration file.
func (r *running) write(text string) {
	r.t.Helper()
	if err := os.WriteFile(r.conf, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// stop ends the tap in order.
func (r *running) stop() {
	if r.cmd.ProcessState != nil {
		return
	}
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	if err := r.cmd.Wait(); err != nil {
		r.t.Errorf("the tap ended with %v:\n%s", err, r.out)
	}
}

// parser is the process that parses: the opener's child.
func (r *running) parser() int {
	r.t.Helper()
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", r.cmd.Process.Pid))
	for _, path := range lists {
		b, _ := os.ReadFile(path)
		if f := strings.Fields(string(b)); len(f) == 1 {
			pid, _ := strconv.Atoi(f[0])
			return pid
		}
	}
	r.t.Fatalf("process %d has no child:\n%s", r.cmd.Process.Pid, r.out)
	return 0
}

// kill ends both processes as a power cut would.
func (r *running) kill() {
	r.t.Helper()
	parser := r.parser()
	for _, pid := range []int{parser, r.cmd.Process.Pid} {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			r.t.Fatal(err)
		}
	}
	_ = r.cmd.Wait() // it was killed
}

// ask runs another command of the binary on the tap's data folder.
func (r *running) ask(args ...string) (string, error) {
	out, err := exec.Command(program(r.t), append(args, "--data", r.data)...).CombinedOutput()
	return string(out), err
}

// until polls; what is a failure's text.
func until(t *testing.T, what string, ok func() error) {
	t.Helper()
	end := time.Now().Add(time.Minute)
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not within a minute: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// nodeServer takes reports at an address that stays its own while it is down.
type nodeServer struct {
	t    *testing.T
	addr string

	mu      sync.Mutex
	server  *http.Server
	reports []*network.Report
	again   int // reports that came a second time
	token   string
}

func newNode(t *testing.T) *nodeServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &nodeServer{t: t, addr: l.Addr().String(), token: "rindtap_t1_secret"}
	l.Close()
	t.Cleanup(n.down)
	return n
}

func (n *nodeServer) up() {
	n.t.Helper()
	var l net.Listener
	until(n.t, "the node's port is free", func() (err error) {
		l, err = net.Listen("tcp", n.addr)
		return err
	})
	server := &http.Server{Handler: n, ReadHeaderTimeout: time.Minute}
	n.mu.Lock()
	n.server = server
	n.mu.Unlock()
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			n.t.Error(err)
		}
	}()
}

func (n *nodeServer) down() {
	n.mu.Lock()
	server := n.server
	n.server = nil
	n.mu.Unlock()
	if server != nil {
		server.Close()
	}
}

// ServeHTTP takes a report, each identity once.
func (n *nodeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	rep, err := report.Decode(b, report.DefaultLimits())
	n.mu.Lock()
	defer n.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+n.token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if err != nil {
		n.t.Error(err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	status := "committed"
	if slices.ContainsFunc(n.reports, func(o *network.Report) bool { return o.Identity == rep.Identity }) {
		n.again++
		status = "duplicate"
	} else {
		n.reports = append(n.reports, rep)
	}
	fmt.Fprintf(w, `{"status":%q}`, status)
}

func (n *nodeServer) got() []*network.Report {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.reports)
}
