package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/databasetest"
	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/report/reporttest"
	"github.com/rind-project/rind/internal/network/uplink"
)

// behind is two nodes with one database behind a real proxy with one of the
// configurations in deploy.
type behind struct {
	nodes [2]*Server
	log   [2]*logBuffer
	front *running // asks through the proxy, from the address of a client
	conf  *tls.Config
	addr  string
}

// Addresses of the test: the proxy reaches the nodes from the one, a client
// the proxy from the other.
const proxyAddr, clientAddr = "127.0.0.1", "127.0.0.9"

// freePort is one that was free a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", proxyAddr+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// startBehind starts the nodes and the proxy. ends says that TLS ends at the
// proxy, so that the client trusts another CA than the nodes'.
func startBehind(t *testing.T, program, config string, ends bool) *behind {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("skipped: %s is not installed", program)
	}
	b := &behind{addr: freePort(t)}
	where, first := databasetest.URL(t, database.PostgreSQL), ""
	for i := range b.nodes {
		cfg := testConfig(dataDir(t))
		cfg.Roles, cfg.Database.URL, cfg.PublicURL = []string{RoleNode}, where, "https://"+b.addr
		cfg.HTTPS.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(proxyAddr + "/32")}
		cfg.HTTPS.ProxyProtocol = !ends
		if first == "" {
			first = cfg.DataDir
		} else if err := os.CopyFS(filepath.Join(cfg.DataDir, "pki"), os.DirFS(filepath.Join(first, "pki"))); err != nil {
			t.Fatal(err)
		} else {
			private(t, filepath.Join(cfg.DataDir, "pki"))
		}
		b.nodes[i], b.log[i] = newServer(cfg)
		if err := b.nodes[i].Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stop(t, b.nodes[i]) })
	}
	b.conf, err = pki.ClientTLS(b.nodes[0].Pin(), "")
	if err != nil {
		t.Fatal(err)
	}
	replace := []string{"10.0.0.11:8443", b.nodes[0].Addr(), "10.0.0.12:8443", b.nodes[1].Addr(), "bind :443", "bind " + b.addr, "listen 443", "listen " + b.addr}
	if ends {
		b.conf = b.certify(t, first, &replace)
	}
	b.run(t, path, config, replace)
	b.front = &running{Server: b.nodes[0], client: newClient(t, b.conf.Clone(), "")}
	b.front.client.Transport.(*http.Transport).DialContext = fromClient
	eventually(t, 30*time.Second, "the proxy answers", func() bool {
		res, err := b.front.client.Get("https://" + b.addr + "/readyz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return b
}

func fromClient(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(clientAddr)}}
	return d.DialContext(ctx, network, addr)
}

func private(t *testing.T, dir string) {
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

// certify makes the proxy's own certificate and gives it the nodes' CA.
func (b *behind) certify(t *testing.T, data string, replace *[]string) *tls.Config {
	t.Helper()
	dir := t.TempDir()
	ca, err := pki.OpenCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ca.ServerCertificate([]string{proxyAddr}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "server-*.pem"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v %v", files, err)
	}
	for _, name := range []string{"/etc/haproxy/rind.pem", "/etc/nginx/rind.crt", "/etc/nginx/rind.key"} {
		*replace = append(*replace, name, files[0])
	}
	for _, name := range []string{"/etc/haproxy/rind-ca.crt", "/etc/nginx/rind-ca.crt"} {
		*replace = append(*replace, name, filepath.Join(data, "pki", "ca.crt"))
	}
	conf, err := pki.PoolTLS(ca.CertPEM())
	if err != nil {
		t.Fatal(err)
	}
	return conf
}

// run starts the program with the configuration, and ends it with the test.
func (b *behind) run(t *testing.T, path, config string, replace []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "deploy", config))
	if err != nil {
		t.Fatal(err)
	}
	used := strings.NewReplacer(replace...).Replace(string(text))
	if strings.Contains(used, "10.0.0.11:8443") || !strings.Contains(used, b.addr) {
		t.Fatal("the configuration does not name the addresses that the test replaces")
	}
	dir := t.TempDir()
	file, args := filepath.Join(dir, "proxy.conf"), []string{"-db", "-f", filepath.Join(dir, "proxy.conf")}
	if strings.HasSuffix(path, "nginx") {
		modules := "load_module " + streamModule + ";\n"
		if !strings.Contains(used, "\nstream {") {
			used, modules = "http {\n"+used+"\n}\n", ""
		}
		used = "daemon off; pid " + dir + "/pid; error_log stderr; user root; worker_processes 1;\n" + modules + "events {}\n" + used
		args = []string{"-p", dir, "-c", file}
	}
	if err := disk.WriteFile(file, []byte(used)); err != nil {
		t.Fatal(err)
	}
	var out logBuffer
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", path, out.String())
		}
	})
}

// taken is how many reports a node has answered.
func (b *behind) taken(t *testing.T, node int) (n float64) {
	t.Helper()
	families, err := b.nodes[node].reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "rind_ingest_reports_total" {
			for _, m := range f.GetMetric() {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

// post delivers a report on a connection of its own.
func (b *behind) post(t *testing.T, token string, sequence uint64) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: b.conf.Clone(), DialContext: fromClient, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+b.addr+"/api/v1/reports", bytes.NewReader(numbered(t, sequence)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", report.ContentType)
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("report %d: %v", sequence, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("report %d: %s", sequence, res.Status)
	}
}

func numbered(t *testing.T, sequence uint64) []byte {
	t.Helper()
	id := network.Identity{Tap: "walker", Boot: reporttest.Boot(1), Sequence: sequence}
	body, err := report.Encode(reporttest.New(1, id, time.Now(), reporttest.Size{Flows: 1}))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// uplink delivers reports as a tap does: from its spool, by its own sender.
func (b *behind) uplink(t *testing.T, token string, reports uint64) {
	t.Helper()
	spool, err := uplink.OpenSpool(uplink.SpoolConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := spool.Begin(reporttest.Boot(1), time.Now()); err != nil {
		t.Fatal(err)
	}
	for i := range reports {
		if err := spool.Append(i+1, time.Now(), numbered(t, i+1)); err != nil {
			t.Fatal(err)
		}
	}
	sender, err := uplink.NewSender(uplink.SenderConfig{URLs: []string{"https://" + b.addr}}, uplink.SenderDeps{
		Spool: spool, Token: func() (string, error) { return token, nil },
		TLS: func(string) (*tls.Config, error) { return b.conf.Clone(), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := sender.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sender.Stop(context.Background()) }()
	eventually(t, 60*time.Second, "the tap's reports are committed", func() bool { return sender.Status().Committed == reports })
	if st := sender.Status(); st.Duplicates+st.Quarantined+st.Retries != 0 {
		t.Errorf("delivery was not smooth: %+v", st)
	}
}

// TestBehindProxies: with each of the configurations that come with Rind a tap
// delivers, the nodes know the client's address whatever it says of itself, and
// a node that drains or stops gets nothing more, while every report is taken.
func TestBehindProxies(t *testing.T) {
	for _, tc := range []struct {
		program, config string
		ends            bool // TLS ends at the proxy
		asks            bool // the proxy asks for /readyz
	}{
		{"haproxy", "haproxy/haproxy.cfg", false, true},
		{"haproxy", "haproxy/haproxy-tls.cfg", true, true},
		{"nginx", "nginx/rind.conf", true, false},
		{"nginx", "nginx/stream.conf", false, false},
	} {
		t.Run(strings.ReplaceAll(tc.config, "/", " "), func(t *testing.T) {
			if strings.HasSuffix(tc.config, "stream.conf") && !hasStream() {
				t.Skip("skipped: nginx has no module stream (Debian: libnginx-mod-stream)")
			}
			b := startBehind(t, tc.program, tc.config, tc.ends)
			token := b.front.addTap(t, "walker")
			b.uplink(t, token, 20)
			b.seesTheClient(t)
			b.front.client.CloseIdleConnections() // which weigh where the next connection goes
			sequence := uint64(100)
			send := func(n int) {
				for range n {
					sequence++
					b.post(t, token, sequence)
				}
			}
			send(10)
			if b.taken(t, 0) == 0 || b.taken(t, 1) == 0 {
				t.Errorf("the nodes took %v and %v reports", b.taken(t, 0), b.taken(t, 1))
			}
			if tc.asks {
				b.nodes[0].checks.SetDraining()
				eventually(t, 60*time.Second, "the proxy leaves the draining node out", func() bool {
					before := b.taken(t, 0)
					send(20)
					return b.taken(t, 0) == before
				})
			} else {
				stop(t, b.nodes[0])
			}
			before := b.taken(t, 0)
			send(20)
			if got := b.taken(t, 0); got != before {
				t.Errorf("the node that drains took %v more reports", got-before)
			}
			var committed int64
			row := b.nodes[1].db.QueryRow(t.Context(), `SELECT COUNT(*) FROM reports`)
			if err := row.Scan(&committed); err != nil || committed != int64(20+sequence-100) {
				t.Errorf("%d reports are committed of %d, %v", committed, 20+sequence-100, err)
			}
		})
	}
}

// streamModule is what Debian's nginx passes connections through with.
const streamModule = "/usr/lib/nginx/modules/ngx_stream_module.so"

func hasStream() bool {
	_, err := os.Stat(streamModule)
	return err == nil
}

// seesTheClient fails to log in, with a lie, and looks into the audit trail.
func (b *behind) seesTheClient(t *testing.T) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+b.addr+"/api/v1/login", strings.NewReader(`{"name":"nobody","password":"wrong"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Forwarded-For", "192.0.2.66")
	if a := b.front.send(t, req); a.status != http.StatusUnauthorized {
		t.Errorf("a login without a password: %d %s", a.status, a.body)
	}
	var trail struct {
		Entries []struct{ Action, Addr string }
	}
	a := b.front.call(t, b.front.token(t, access.Admin), http.MethodGet, "/audit", nil, &trail)
	for _, e := range trail.Entries {
		if strings.Contains(e.Action, "login") && e.Addr == clientAddr {
			return
		}
	}
	t.Errorf("the audit trail does not know the client %s: %d %s", clientAddr, a.status, fmt.Sprintf("%.600s", a.body))
}
