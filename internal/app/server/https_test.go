package server

import (
	"bytes"
	"crypto/tls"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report/reporttest"
)

// A certificate of another CA is for everybody but those who have the pin.
func TestGivenCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	company, err := pki.OpenCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := company.ServerCertificate([]string{"localhost"}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "server-*.pem"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	cfg := testConfig(dataDir(t))
	cfg.Roles = []string{RoleNode}
	cfg.HTTPS.CertFile, cfg.HTTPS.KeyFile = files[0], files[0]
	r := start(t, cfg)
	r.ready(t) // by the pin
	conf, err := pki.PoolTLS(company.CertPEM())
	if err != nil {
		t.Fatal(err)
	}
	conf.ServerName = "localhost"
	c, err := tls.Dial("tcp", r.Addr(), conf)
	if err != nil {
		t.Fatalf("by the company's CA: %v", err)
	}
	_ = c.Close()

	cfg = testConfig(dataDir(t))
	cfg.HTTPS.CertFile, cfg.HTTPS.KeyFile = files[0], filepath.Join(dir, "none.pem")
	s, _ := newServer(cfg)
	if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "none.pem") {
		t.Errorf("a key that is not there: %v", err)
	}
}

// While the authority does not answer, the server serves with its own
// certificate and says what is wrong.
func TestACMEWithoutAnAuthority(t *testing.T) {
	t.Parallel()
	cfg := testConfig(dataDir(t))
	cfg.Roles = []string{RoleNode}
	cfg.HTTPS.ACME.Domains, cfg.HTTPS.ACME.Email = []string{"rind.example.net"}, "ops@example.net"
	cfg.HTTPS.ACME.Directory, cfg.HTTPS.ACME.HTTPListen = "https://127.0.0.1:1/dir", "127.0.0.1:0"
	r := start(t, cfg)
	r.ready(t)
	eventually(t, 60*time.Second, "the log says that there is no certificate", func() bool {
		return strings.Contains(r.log.String(), "the ACME authority gave no certificate")
	})
	own, err := pki.ClientTLS(r.Pin(), "")
	if err != nil {
		t.Fatal(err)
	}
	own.NextProtos = nil // as a browser, which does not know the pin
	own.ServerName = "localhost"
	c, err := tls.Dial("tcp", r.Addr(), own)
	if err != nil {
		t.Fatalf("without a certificate of the authority: %v", err)
	}
	_ = c.Close()
}

func TestHTTPSConfig(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ yaml, want string }{
		"a certificate without key":  {"https: {cert_file: /a.pem}", "https.key_file"},
		"a key without certificate":  {"https: {key_file: /a.pem}", "https.cert_file"},
		"two certificates":           {"https: {cert_file: /a, key_file: /b, acme: {domains: [a.example.net]}}", "leave one of them out"},
		"headers of anybody":         {"https: {proxy_protocol: true}", "https.trusted_proxies"},
		"a wildcard":                 {"https: {acme: {domains: ['*.example.net']}}", "https.acme.domains"},
		"ACME without a database":    {"roles: [bus]\nnats: {cluster: {listen: '127.0.0.1:6222'}}\nhttps: {acme: {domains: [a.example.net]}}", "https.acme.domains"},
		"a proxy that is no network": {"https: {trusted_proxies: [proxy.example]}", "https.trusted_proxies"},
		"an old key":                 {"trusted_proxies: [192.0.2.1/32]", "trusted_proxies"},
		"a database by plain HTTP":   {"enrich: {geoip: 'http://x.example/geo'}", "enrich.geoip"},
		"a relative database":        {"enrich: {oui: oui.txt}", "enrich.oui"},
	} {
		file := filepath.Join(t.TempDir(), "rind.yaml")
		if err := os.WriteFile(file, []byte(tc.yaml+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := DefaultConfig()
		if _, err := config.Load(&cfg, config.Source{File: file, FileRequired: true, Prefix: "RIND"}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want an error that names %s", name, err, tc.want)
		}
	}
}

// What is secret in the configuration is not shown.
func TestConfigDumpHidesSecrets(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "rind.yaml")
	text := "database: {url: 'postgres://rind:hunter2@db/rind?password=hunter2'}\n" +
		"enrich: {geoip: 'https://a:hunter2@x.example/g.tar.gz?license_key=hunter2', asn: 'https://x.example/a?token=hunter2', oui: /srv/oui.txt}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	origins, err := config.Load(&cfg, config.Source{File: file, FileRequired: true, Prefix: "RIND"})
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"table", "json", "yaml"} {
		var out bytes.Buffer
		if err := origins.Dump(&out, format); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "hunter2") || !strings.Contains(out.String(), "/srv/oui.txt") {
			t.Errorf("%s:\n%s", format, &out)
		}
	}
}

// TestEnrichedFlows: what the operator's files and the taps' DNS say reaches
// who lists flows.
func TestEnrichedFlows(t *testing.T) {
	t.Parallel()
	cfg := testConfig(dataDir(t))
	cfg.Roles = []string{RoleNode}
	cfg.Enrich.OUI = filepath.Join(t.TempDir(), "oui.txt")
	r := start(t, cfg)
	token := r.addTap(t, "walker")

	id := network.Identity{Tap: "walker", Boot: reporttest.Boot(1), Sequence: 1}
	rep := reporttest.New(1, id, time.Now(), reporttest.Size{Flows: 1, DNS: 1})
	rep.Flows[0].SrcMAC = [6]byte{0x28, 0x6f, 0xb9, 1, 2, 3}
	rep.Flows[0].Source, rep.Flows[0].Dest = netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("203.0.114.9")
	rep.DNS[0].Client, rep.DNS[0].Name, rep.DNS[0].Type = rep.Flows[0].Source, "www.example.de", 1
	rep.DNS[0].Answered, rep.DNS[0].RCode, rep.DNS[0].Answers = true, 0, []string{"203.0.114.9"}
	r.commit(t, token, rep)

	type flow struct {
		DstName   string `json:"dst_name"`
		SrcVendor string `json:"src_vendor"`
	}
	see := func(want flow) {
		t.Helper()
		var out struct{ Flows []flow }
		if a := r.call(t, r.token(t, access.Viewer), http.MethodGet, "/flows?name=*.example.de", nil, &out); len(out.Flows) != 1 || out.Flows[0] != want {
			t.Errorf("got %d %+v, want %+v", a.status, out.Flows, want)
		}
	}
	see(flow{DstName: "www.example.de"})
	if !strings.Contains(r.log.String(), "key=enrich.oui") {
		t.Errorf("the log does not tell of the missing file:\n%s", r.log)
	}
	stop(t, r.Server)
	list := "28-6F-B9   (hex)\t\tMaker\n286FB9     (base 16)\t\tMaker\n"
	if err := os.WriteFile(cfg.Enrich.OUI, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	r = start(t, cfg)
	see(flow{DstName: "www.example.de", SrcVendor: "Maker"})
}
