package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report"
)

// logBuffer is the log of a server that a test reads.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is all that was logged.
func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// dataDir is a folder with a short path: that of a unix socket is bounded.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rind-server-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// testConfig is a whole server on free ports of the loopback.
func testConfig(dir string) Config {
	cfg := DefaultConfig()
	cfg.DataDir, cfg.Listen, cfg.NATS.Listen = dir, "127.0.0.1:0", "127.0.0.1:0"
	cfg.NATS.JetStream.MaxFileStore, cfg.NATS.JetStream.MaxMemStore = "2GiB", "256MiB"
	cfg.NATS.ReadyTimeout = 30 * time.Second
	cfg.Node.DrainWait = 0 // no balancer stands before a test
	return cfg
}

// running is a started server and what a test needs to ask it.
type running struct {
	*Server
	log    *logBuffer
	client *http.Client // for https, and for http through the unix socket
}

func newServer(cfg Config) (*Server, *logBuffer) {
	log := &logBuffer{}
	return New(cfg, slog.New(slog.NewTextHandler(log, nil))), log
}

// start starts a server that is stopped when the test ends.
func start(t *testing.T, cfg Config) *running {
	t.Helper()
	s, log := newServer(cfg)
	if err := s.Start(t.Context()); err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() { stop(t, s) })
	r := reach(t, s)
	r.log = log
	return r
}

// reach makes a client of a server that runs.
func reach(t *testing.T, s *Server) *running {
	t.Helper()
	conf, err := pki.ClientTLS(s.Pin(), "")
	if err != nil {
		t.Fatal(err)
	}
	return &running{Server: s, client: newClient(t, conf, s.cfg.socketPath())}
}

// socketHost is the host in URLs that the client asks through the socket.
const socketHost = "socket.test:80"

// newClient asks without following redirects.
func newClient(t *testing.T, conf *tls.Config, socket string) *http.Client {
	var dialer net.Dialer
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr == socketHost {
			network, addr = "unix", socket
		}
		return dialer.DialContext(ctx, network, addr)
	}
	transport := &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true, DialContext: dial}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport: transport, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// stop stops a server, within bounds. It may be stopped already.
func stop(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// answer is what a server said. The body is cut, that of a stream is empty.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends a request. It reads no further than the header of a stream.
func (r *running) send(t *testing.T, req *http.Request) answer {
	t.Helper()
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	res, err := r.client.Do(req.WithContext(ctx))
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer res.Body.Close()
	a := answer{status: res.StatusCode, header: res.Header}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return a
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	a.body = string(body)
	return a
}

// report delivers an encoded report as the tap of a token.
func (r *running) report(t *testing.T, token string, body []byte) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.URL()+"/api/v1/reports", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", report.ContentType)
	req.Header.Set("Authorization", "Bearer "+token)
	return r.send(t, req)
}

// commit delivers a report that is taken.
func (r *running) commit(t *testing.T, token string, rep *network.Report) {
	t.Helper()
	body, err := report.Encode(rep)
	if err != nil {
		t.Fatal(err)
	}
	if a := r.report(t, token, body); a.status != http.StatusOK {
		t.Fatalf("the report is answered %d %s", a.status, a.body)
	}
}

// call asks the API as an administrator of the machine does, through HTTPS by
// a token; in and out may be nil.
func (r *running) call(t *testing.T, token, method, path string, in, out any) answer {
	t.Helper()
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, r.URL()+"/api/v1"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	a := r.send(t, req)
	if out != nil && a.status == http.StatusOK {
		if err := json.Unmarshal([]byte(a.body), out); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, a.body)
		}
	}
	return a
}

// machineAdmin is who the tests are when they prepare a server.
var machineAdmin = access.Principal{Name: "uid:0", Role: access.Admin, Via: access.ViaSocket}

// token makes an API token of the machine's administrator.
func (r *running) token(t *testing.T, role access.Role) string {
	t.Helper()
	secret, err := r.people.CreateToken(t.Context(), machineAdmin, "test", role, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// enroll enrolls a peel as a host does: through HTTPS, with a token that
// approves by itself.
func (r *running) enroll(t *testing.T, id fleet.PeelID) *enroll.Identity {
	t.Helper()
	var made struct{ Token string }
	if a := r.call(t, r.token(t, access.Admin), http.MethodPost, "/enroll-tokens", map[string]any{"auto_approve": true}, &made); made.Token == "" {
		t.Fatalf("no enrollment token: %d %s", a.status, a.body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	identity, err := enroll.Join(ctx, enroll.JoinConfig{
		Server: r.URL(), Pin: r.Pin(), Token: made.Token, ID: id, Dir: dataDir(t), Wait: true,
	})
	if err != nil {
		t.Fatalf("enrolling %s: %v", id, err)
	}
	return identity
}

// occupy listens on a free port of the loopback until the test ends.
func occupy(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln.Addr().String()
}

// eventually waits until ok, for at most limit.
func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); time.Since(began) < limit; time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Errorf("not within %s: %s", limit, what)
}
