package cli_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/rind-project/rind/internal/api/apitest"
	"github.com/rind-project/rind/internal/cli"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/ingest"
	"github.com/rind-project/rind/internal/network/store"
)

func before(d time.Duration) time.Time { return apitest.Now.Add(-d) }

func TestPeel(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	s.Fleet.Add(fleet.Peel{
		ID: "web-01", Presence: fleet.Connected, Since: before(3 * time.Minute), LastSeen: before(5 * time.Second), Version: "v1", Address: "192.0.2.7", OS: "Debian 12",
		Facts: &fleet.Facts{
			ID: "web-01", Hostname: "web-01", OSPretty: "Debian GNU/Linux 12 (bookworm)", KernelName: "Linux", Kernel: "6.1.0", Arch: "amd64",
			CPU: fleet.CPU{Model: "EPYC", Count: 4}, Mem: fleet.Mem{Total: 8 << 30}, Disks: []fleet.Disk{{Name: "sda", Size: 500 << 30, Model: "SSD"}},
			Mounts:     []fleet.Mount{{Device: "/dev/sda1", Path: "/", FSType: "ext4", Size: 100 << 30}},
			Interfaces: []fleet.Interface{{Name: "eth0", MAC: "02:00:00:00:00:01", Up: true, Addresses: []string{"192.0.2.7/24", "fe80::1/64"}}},
			PkgManager: "apt", Init: "systemd", BootTime: before(50 * time.Hour),
		},
	}, nil)
	s.Fleet.Add(fleet.Peel{ID: "web-02", Presence: fleet.Away, Since: before(26 * time.Hour), OS: "Alpine 3.20"}, nil)
	s.Fleet.Add(fleet.Peel{ID: "web-03", Presence: fleet.Never}, nil)
	golden(t, "peel", on(t, s).transcript(t,
		[]string{"peel", "list"},
		[]string{"peel", "list", "--limit", "2"},
		[]string{"peel", "list", "*-02", "-o", "json"},
		[]string{"peel", "list", "--all", "-o", "ndjson"},
		[]string{"peel", "list", "db-*"},
		[]string{"peel", "show", "web-01"},
		[]string{"peel", "show", "web-03", "-o", "yaml"},
		[]string{"peel", "show", "web-99"},
		[]string{"peel", "show"},
		[]string{"peel", "list", "-o", "xml"},
		[]string{"peel", "list", "--limti", "2"},
	))
}

func TestEnroll(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	s.Enroll.Records["web-01"] = enroll.Record{ID: "web-01", State: enroll.Pending, Fingerprint: "ab:cd", Hostname: "web-01", Address: "192.0.2.7", Created: before(time.Minute)}
	s.Enroll.Records["web-02"] = enroll.Record{ID: "web-02", State: enroll.Pending, Fingerprint: "ef:01", Replaces: true, Created: before(time.Hour)}
	golden(t, "enroll", on(t, s).transcript(t,
		[]string{"enroll", "token"},
		[]string{"enroll", "token", "--ttl", "15m", "--auto-approve", "-o", "json"},
		[]string{"enroll", "list"},
		[]string{"enroll", "approve", "web-01"},
		[]string{"enroll", "approve", "web-02"},
		[]string{"enroll", "approve", "web-02", "--replace"},
		[]string{"enroll", "revoke", "web-01", "-o", "ndjson"},
		[]string{"enroll", "approve", "web-01"},
		[]string{"enroll", "reject", "nobody"},
		[]string{"enroll", "list", "--state", "revoked"},
		[]string{"enroll", "list", "--state", "open"},
		[]string{"enroll", "show", "web-01"},
	))
}

func TestTapsAndTelemetry(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	recent, old := before(4*time.Second), before(time.Hour)
	s.Taps.All = []ingest.TapInfo{
		{
			Name: "office", Tenant: "acme", LastReport: &recent, Reports: 1234, LossPercent: 0.25, Loss: store.Loss{Received: 400, DroppedKernel: 1},
			Health: network.Health{Version: "v1", MemoryBytes: 40 << 20, SpoolReports: 2},
		},
		{Name: "copied", Tenant: "default", LastReport: &recent, Reports: 2, Shared: &recent},
		{Name: "dmz", Tenant: "default", LastReport: &old, Reports: 9},
		{Name: "old", Tenant: "default", Revoked: &old},
	}
	flow := network.Flow{
		Start: before(90 * time.Second), Source: netip.MustParseAddr("192.0.2.7"), Dest: netip.MustParseAddr("2001:db8::1"), SrcPort: 40000, DstPort: 443,
		Proto: network.TCP, SrcPkts: 10, DstPkts: 20, SrcBytes: 999, DstBytes: 3 << 20, State: network.TCPEstablished, App: "tls",
	}
	ping := network.Flow{Start: before(48 * time.Hour), Source: flow.Source, Dest: flow.Source, SrcPort: 8, Proto: network.ICMP, SrcPkts: 1, SrcBytes: 98}
	s.Network.FlowRows = []store.Flow{{ID: 1<<62 + 1, Tap: "office", Flow: flow, CommunityID: "1:abc=",
		Enrichment: store.Enrichment{DstCountry: "DE", DstAS: 64500, DstName: "www.example.com"},
		Told:       store.Told{SrcVendor: "Acme", DstASOrg: "Example Net"}}, {ID: 2, Tap: "dmz", Flow: ping}}
	s.Network.DNSRows = []store.DNS{
		{ID: 2, Tap: "office", DNSQuery: network.DNSQuery{Time: before(time.Minute), Client: flow.Source, Server: flow.Dest, Name: "www.example.com", Type: 28, Answered: true, RCode: 3, Latency: 12 * time.Millisecond}},
		{ID: 1, Tap: "office", DNSQuery: network.DNSQuery{Time: before(time.Minute), Client: flow.Source, Server: flow.Dest, Name: `a\027[2Jb`, Type: 1234}},
	}
	s.Network.TLSRows = []store.TLS{{ID: 1, Tap: "office", TLSHello: network.TLSHello{Time: before(time.Minute), Client: flow.Source, Server: flow.Dest, SrcPort: 40000, DstPort: 443, SNI: "www.example.com", ALPN: []string{"h2", "http/1.1"}, Version: 0x0304,
		Proto: network.TCP, Chosen: 0x0303, Cipher: 0xc02f, Protocol: "h2", JA4: "t13d1516h2_8daaf6152771_e5627efa2ab1", Subject: "CN=www.example.com"}}}
	s.Network.Points = []store.TrafficPoint{{Time: before(2 * time.Minute), Bytes: 1536, Packets: 12, Flows: 3}}
	s.Network.Talkers = []store.Talker{{Addr: flow.Source, BytesIn: 1 << 30, BytesOut: 1, Packets: 7, Flows: 2}}
	golden(t, "network", on(t, s).transcript(t,
		[]string{"tap", "list"},
		[]string{"tap", "list", "--tenant", "default"},
		[]string{"tap", "list", "--tenant", "A.B"},
		[]string{"tap", "add", "lab"},
		[]string{"tap", "add", "lab"},
		[]string{"tap", "rotate", "lab", "-o", "json"},
		[]string{"tap", "revoke", "lab"},
		[]string{"tap", "revoke", "nobody"},
		[]string{"flow", "list"},
		[]string{"flow", "list", "--limit", "1", "-o", "json"},
		[]string{"flow", "list", "--limit", "1"},
		[]string{"flow", "list", "--addr", "192.0.2.7/24"},
		[]string{"dns", "list", "--name", "*.example.com"},
		[]string{"tls", "list"},
		[]string{"traffic", "show", "--since", "1d"},
		[]string{"traffic", "top"},
		[]string{"overview"},
	))
	if q := s.Network.DNSQuery; q.Name != "*.example.com" {
		t.Errorf("the query is %+v", q)
	}
}

// TestLongCells: a hostile name does not make every line as long as itself,
// unless all of it is asked for; what is shown one below the other stays whole.
func TestLongCells(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	long := strings.Repeat("a", 250)
	s.Network.DNSRows = []store.DNS{{ID: 1, Tap: "office", DNSQuery: network.DNSQuery{Time: before(time.Minute), Name: long}}}
	s.Fleet.Add(fleet.Peel{ID: "web-01", Version: long}, nil)
	term := on(t, s)
	for line, whole := range map[string]bool{
		"dns list": false, "dns list --wide": true, "dns list -o json": true, "dns list -o yaml": true,
		"peel list": false, "peel list --wide": true, "peel show web-01": true,
	} {
		code, stdout, stderr := term.run(t, strings.Fields(line)...)
		if code != 0 || strings.Contains(stdout, long) != whole || strings.Contains(stdout, "a…") == whole {
			t.Errorf("%s: exit code %d: %s%s", line, code, stderr, stdout)
		}
	}
}

func TestSocketThatIsNotThere(t *testing.T) {
	t.Parallel()
	term := on(t, apitest.Start(t, nil))
	if code, _, stderr := term.run(t, "peel", "list", "--socket", "/nowhere/rind.sock"); code != 1 || !strings.HasPrefix(stderr, "rind: /nowhere/rind.sock: ") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func TestAllPagesAreAskedFor(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	for i := range 2500 {
		s.Network.FlowRows = append(s.Network.FlowRows, store.Flow{ID: int64(5000 - i), Flow: network.Flow{Start: before(time.Duration(i) * time.Second)}})
	}
	term := on(t, s)
	for limit, want := range map[string]int{"--all": 2500, "--limit=1500": 1500, "--limit=7": 7} {
		if code, stdout, stderr := term.run(t, "flow", "list", "-o", "ndjson", limit); code != 0 || strings.Count(stdout, "\n") != want {
			t.Errorf("%s gives %d rows, want %d %s", limit, strings.Count(stdout, "\n"), want, stderr)
		}
	}
}

func TestPeopleAndPrograms(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	if _, err := s.Access.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	term := on(t, s)
	term.in = "correct horse battery\n"
	golden(t, "people", term.transcript(t,
		[]string{"whoami"},
		[]string{"user", "add", "anna", "--role", "operator"},
		[]string{"user", "add", "anna"},
		[]string{"user", "add", "bob", "--role", "root"},
		[]string{"user", "password", "anna"},
		[]string{"user", "role", "anna", "viewer"},
		[]string{"user", "bind", "anna", "--uid", "1000"},
		[]string{"user", "bind", "anna"},
		[]string{"user", "list"},
		[]string{"user", "delete", "anna"},
		[]string{"user", "delete", "admin"},
		[]string{"token", "revoke", "nothing"},
		[]string{"audit", "list"},
		[]string{"audit", "list", "--limit", "1"},
	))
	code, stdout, _ := term.run(t, "token", "create", "backup", "--role", "viewer", "--ttl", "1h")
	if code != 0 || !strings.HasPrefix(stdout, "rind_") || strings.Count(stdout, "\n") != 1 {
		t.Errorf("token create: %d %q", code, stdout)
	}
	if _, stdout, _ := term.run(t, "token", "list"); !strings.Contains(stdout, "backup") || !strings.Contains(stdout, "in 1h") {
		t.Errorf("token list: %q", stdout)
	}
	id := strings.Split(stdout, "_")[1]
	if code, out, _ := term.run(t, "token", "revoke", id); code != 0 || out != "the token "+id+" is revoked\n" {
		t.Errorf("token revoke: %d %q", code, out)
	}
	term.in = ""
	if code, _, stderr := term.run(t, "user", "password", "admin"); code != 1 || !strings.Contains(stderr, "is empty") {
		t.Errorf("an empty password: %d %s", code, stderr)
	}
}

func TestFirstWordDecides(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, nil)
	s.Fleet.Add(fleet.Peel{ID: "peels"}, apitest.Always(apitest.OK("pong")))
	term := on(t, s)
	for line, want := range map[string]string{
		"peels test.ping":                  "peels: pong",
		"peels test.ping -o ndjson":        `"answered":1`,
		"-o ndjson peels test.ping":        `"answered":1`,
		"-o=ndjson peels test.ping":        `"answered":1`,
		"--output ndjson * test.ping":      `"answered":1`,
		"run --timeout 3s peels test.ping": "peels: pong",
		"peel list --limit 0":              `parameter "limit"`,
		"peels list":                       `unknown command "peels" for "rind"`,
		"peels":                            `unknown command "peels" for "rind"`,
		"nobody test.ping":                 `no peel matches "nobody"`,
		"nobody ping":                      "did you mean test.ping?",
		"":                                 "Available Commands:",
		"help run":                         "TARGET FUNCTION",
		"completion bash":                  "__start_rind",
		"__complete run peels test.":       "test.ping",
		"__complete run peels file.wr":     "file.write",
		"__complete run peels grains.":     "grains.get",
		"__complete run peels ps.top co":   "count=",
		"__complete run peels ps.top by=":  "by=memory",
		"__complete run pe":                "peels",
		"__complete peels test.":           "test.ping",
		"__complete -G os:x file.wr":       "file.write",
		"__complete peels ps.top by=":      "by=memory",
		"__complete peels sys.doc fi":      "file.write",
		"__complete pee":                   "peel\tManaged hosts",
		"__complete peel sh":               "show\t",
		"__complete enroll list --state p": "pending",
		"__complete tap list -o ":          "ndjson",
	} {
		_, stdout, stderr := term.run(t, strings.Fields(line)...)
		if strings.HasPrefix(line, "__complete") && strings.HasSuffix(line, " ") {
			_, stdout, stderr = term.run(t, append(strings.Fields(line), "")...)
		}
		if !strings.Contains(stdout+stderr, want) {
			t.Errorf("rind %s answers\n%s%s\nwithout %q", line, stdout, stderr, want)
		}
	}
}

func TestEveryCommandHasAnExample(t *testing.T) {
	t.Parallel()
	extra := &cobra.Command{Use: "up", Short: "start", Example: "  rind up", RunE: func(*cobra.Command, []string) error { return nil }}
	root := cli.New(cli.Options{Extra: []*cobra.Command{extra}})
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" || !strings.Contains(c.Example, "rind ") {
			t.Errorf("%s has no summary or no example", c.CommandPath())
		}
		if c.Runnable() && c.RunE == nil {
			t.Errorf("%s cannot fail", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	if !slices.Contains(root.Commands(), extra) {
		t.Error("the program's own commands are not there")
	}
}
