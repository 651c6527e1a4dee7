package web_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/access"
	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/base/database/sqlite"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/enroll"
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/ingest"
	"github.com/rind-project/rind/internal/network/report/reporttest"
	"github.com/rind-project/rind/internal/network/store"
	"github.com/rind-project/rind/internal/web"
	"github.com/rind-project/rind/internal/web/static"
)

// world is the pages behind the real guard and the real sessions, over planes
// in memory, served by TLS.
type world struct {
	*httptest.Server
	web     *web.Web
	access  *access.Service
	fleet   *fakeFleet
	enroll  *fakeEnroll
	traffic *fakeTraffic
	taps    *fakeTaps
	cluster fakeCluster
	events  *fakeEvents
}

// newWorld makes an empty world with a user for each role; the password of
// each is in password.
func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldFrom(t, static.Files())
}

// newWorldFrom is newWorld with other shared files.
func newWorldFrom(t *testing.T, shared fs.FS) *world {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "web.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := database.Migrate(t.Context(), db, access.Migrations()); err != nil {
		t.Fatal(err)
	}
	w := &world{
		access:  access.New(access.Config{}, access.Deps{DB: db}),
		fleet:   &fakeFleet{returns: map[string][]fleet.Return{}, watched: map[string][]chan fleet.JobEvent{}},
		enroll:  &fakeEnroll{},
		traffic: &fakeTraffic{},
		taps:    &fakeTaps{},
		events:  &fakeEvents{},
	}
	w.web = web.NewFrom(web.Deps{Access: w.access, Fleet: w.fleet, Enroll: w.enroll, Events: w.events, Traffic: w.traffic, Taps: w.taps, Cluster: &w.cluster, Reports: w.traffic.Changes, Pin: "sha256:0123",
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}, shared)
	w.serve(t)
	// They have chosen the password; TestFirstLogin is about who has not.
	if _, err := db.Exec(t.Context(), `UPDATE access_users SET must_change = FALSE`); err != nil {
		t.Fatal(err)
	}
	return w
}

const password = "correct horse battery staple"

func (w *world) serve(t *testing.T) {
	t.Helper()
	root := access.Principal{Name: "uid:0", Role: access.Admin, Via: access.ViaSocket}
	for _, role := range []access.Role{access.Viewer, access.Operator, access.Admin} {
		if err := w.access.CreateUser(t.Context(), root, "the-"+role.String(), password, role); err != nil {
			t.Fatal(err)
		}
	}
	mux := http.NewServeMux()
	guard := access.NewGuard(w.access, access.GuardOptions{LoginPath: "/login", PasswordPath: "/account", Refuse: w.web.Refuse})
	guard.Mount(mux, w.web.Routes())
	guard.Mount(mux, []access.Route{{Method: http.MethodGet, Pattern: "/api/v1/traffic", Need: access.NeedViewer, Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(rw).Encode(map[string]any{"traffic": w.traffic.points})
	})}})
	w.Server = httptest.NewTLSServer(mux)
	t.Cleanup(func() {
		_ = w.web.Stop(t.Context())
		w.Close()
	})
}

// populate fills the world with a day of a small office.
func (w *world) populate(now time.Time) {
	w.populateFleet(now)
	w.events.all = []fleet.Event{
		{Seq: 3, Name: "disk.full", Peel: "web-01", At: now.Add(-time.Minute), Data: []byte(`{"mount":"/","free_bytes":4096}`)},
		{Seq: 2, Name: "job/done", By: "the-operator", At: now.Add(-3 * time.Minute), Data: []byte(`{"jid":"` + jid(2) + `"}`)},
		{Seq: 1, Name: "deploy.done", By: "the-admin", At: now.Add(-4 * time.Minute), Data: []byte(`"version 7"`)},
	}
	w.populateEnrollments(now)
	w.populateTaps(now)
	w.populateTraffic(now)
	w.populateRecords(now)
}

var hostNames = []string{"bastion", "build-01", "build-02", "db-01", "db-02", "mail_example_org", "ns1", "proxy", "storage-with-a-rather-long-name-in-the-second-rack_example_org", "web-01", "web-02", "web-03"}

func facts(id string, now time.Time) *fleet.Facts {
	return &fleet.Facts{
		ID: fleet.PeelID(id), Hostname: id, FQDN: id + ".example.org", MachineID: "5c1e0d9a7f4b4b0e8f3f2a1b0c9d8e7f", OS: "Debian", OSFamily: "debian", OSVersion: "12",
		OSPretty: "Debian GNU/Linux 12 (bookworm)", KernelName: "Linux", Kernel: "6.1.0-28-amd64", Arch: "amd64",
		CPU: fleet.CPU{Model: "AMD EPYC 7543P 32-Core Processor", Count: 16}, Mem: fleet.Mem{Total: 64 << 30, Swap: 8 << 30},
		Disks:  []fleet.Disk{{Name: "nvme0n1", Size: 960197124096, Model: "SAMSUNG MZQL2960HCJR-00A07"}, {Name: "sda", Size: 8001563222016, Model: "ST8000NM000A", Rotational: true}},
		Mounts: []fleet.Mount{{Device: "/dev/nvme0n1p2", Path: "/", FSType: "ext4", Size: 943718400000}, {Device: "/dev/nvme0n1p1", Path: "/boot/efi", FSType: "vfat", Size: 536870912}, {Device: "nas.example.org:/export/backup", Path: "/srv/backup", FSType: "nfs4", Size: 21990232555520}},
		Interfaces: []fleet.Interface{
			{Name: "lo", MTU: 65536, Up: true, Addresses: []string{"127.0.0.1/8", "::1/128"}},
			{Name: "enp1s0f0", MAC: "3c:ec:ef:12:34:56", MTU: 1500, Up: true, Addresses: []string{"192.0.2.17/24", "2001:db8:1::17/64", "fe80::3eec:efff:fe12:3456/64"}},
			{Name: "enp1s0f1", MAC: "3c:ec:ef:12:34:57", MTU: 1500},
		},
		Virtual: "physical", PkgManager: "apt", Init: "systemd", BootTime: now.Add(-37 * 24 * time.Hour), Peel: fleet.PeelVersion{Version: "0.1.0"},
	}
}

func jid(n int) string { return fmt.Sprintf("0190a8c2-7b4e-7f3a-9c1d-%012d", n) }

func (w *world) populateFleet(now time.Time) {
	for i, name := range hostNames {
		p := fleet.Peel{ID: fleet.PeelID(name), Presence: fleet.Connected, Since: now.Add(-time.Duration(i+1) * 7 * time.Hour), LastSeen: now.Add(-time.Duration(i) * time.Second),
			Version: "0.1.0", Address: fmt.Sprintf("192.0.2.%d", 10+i), OS: "Debian 12", Facts: facts(name, now)}
		switch name {
		case "build-02":
			p.Presence, p.Since, p.LastSeen = fleet.Away, now.Add(-22*time.Minute), now.Add(-22*time.Minute)
		case "proxy":
			p.Presence, p.Since, p.LastSeen, p.Facts, p.OS, p.Address, p.Version = fleet.Never, time.Time{}, time.Time{}, nil, "", "", ""
		}
		w.fleet.peels = append(w.fleet.peels, p)
	}
	done := func(n int, target, function string, args []string, s fleet.Summary) fleet.Job {
		at := now.Add(-time.Duration(n) * 13 * time.Minute)
		return fleet.Job{JID: jid(n), Target: target, Function: function, Args: args, By: "the-operator", State: fleet.JobDone, Created: at, Expires: at.Add(10 * time.Second), Ended: at.Add(10 * time.Second), Summary: s}
	}
	running := done(1, "web-*", "cmd.run", []string{"apt-get -s upgrade | tail -1"}, fleet.Summary{Targeted: 3, Answered: 1, Missing: 2})
	running.State, running.Created, running.Expires = fleet.JobRunning, now.Add(-3*time.Second), now.Add(2*time.Minute)
	w.fleet.jobs = []fleet.Job{
		running,
		done(2, "*", "cmd.run", []string{"systemctl is-system-running"}, fleet.Summary{Targeted: 12, Answered: 10, Failed: 1, Missing: 2, MissingPeels: []fleet.PeelID{"build-02", "proxy"}}),
		done(3, "*", "test.ping", nil, fleet.Summary{Targeted: 10, Answered: 10}),
		done(4, "db-*", "facts.get", []string{"mem.total"}, fleet.Summary{Targeted: 2, Answered: 2}),
		done(5, "build-*", "test.ping", nil, fleet.Summary{Targeted: 2, Answered: 1, Missing: 1, MissingPeels: []fleet.PeelID{"build-02"}}),
	}
	w.fleet.returns[jid(1)] = []fleet.Return{aReturn(1, "web-01", now, "0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n", 0)}
	for i, name := range hostNames[:10] {
		r := aReturn(2, name, now, "running\n", 0)
		if i == 3 {
			r = aReturn(2, name, now, "degraded\n", 1)
			r.OK, r.Error = false, "the command ended with exit code 1"
		}
		w.fleet.returns[jid(2)] = append(w.fleet.returns[jid(2)], r)
	}
}

func aReturn(job int, peel string, now time.Time, out string, code int) fleet.Return {
	return fleet.Return{JID: jid(job), Peel: fleet.PeelID(peel), OK: code == 0, ExitCode: code, Started: now.Add(-1234 * time.Millisecond), Finished: now,
		Value: raw(map[string]any{"stdout": out, "stderr": "", "exit_code": code})}
}

func (w *world) populateEnrollments(now time.Time) {
	w.enroll.records = []enroll.Record{
		{ID: "web-04", State: enroll.Pending, PublicKey: "UWEB04", Fingerprint: "4f:1c:9a:77:02:bd:e8:31", Address: "192.0.2.99", Hostname: "web-04.example.org", Created: now.Add(-4 * time.Minute)},
		{ID: "db-01", State: enroll.Pending, PublicKey: "UDB01B", Fingerprint: "a0:55:1e:c3:d9:40:7b:62", Address: "198.51.100.23", Hostname: "db-01.example.org", Created: now.Add(-90 * time.Second), Replaces: true},
	}
	for i, name := range hostNames {
		w.enroll.records = append(w.enroll.records, enroll.Record{ID: fleet.PeelID(name), State: enroll.Approved, PublicKey: "U" + strings.ToUpper(name), Created: now.Add(-time.Duration(i+2) * time.Hour), Decided: now.Add(-time.Duration(i+1) * time.Hour), By: "the-admin"})
	}
}

func (w *world) populateTaps(now time.Time) {
	at := func(d time.Duration) *time.Time { t := now.Add(-d); return &t }
	health := network.Health{Version: "0.1.0", CPUSeconds: 412, MemoryBytes: 73 << 20, FlowsActive: 1842, FlowsMax: 262144}
	w.taps.taps = []ingest.TapInfo{
		{Name: "office", Tenant: "default", Created: *at(40 * 24 * time.Hour), LastReport: at(4 * time.Second), LastEnd: at(5 * time.Second), Reports: 345600, Health: health},
		{Name: "rack-2", Tenant: "acme", Created: *at(9 * 24 * time.Hour), LastReport: at(7 * time.Second), LastEnd: at(8 * time.Second), Reports: 77000, Health: health},
		{Name: "branch", Created: *at(3 * 24 * time.Hour), LastReport: at(14 * time.Minute), LastEnd: at(14 * time.Minute), Reports: 20000, Health: health},
		{Name: "old-lab", Created: *at(90 * 24 * time.Hour), Revoked: at(30 * 24 * time.Hour)},
	}
	w.traffic.losses = []store.Loss{
		{Tap: "office", Received: 48_120_334, Summarised: 48_120_330, Malformed: 4, Bytes: 31_884_201_112, Reports: 360},
		{Tap: "rack-2", Received: 211_560_901, Summarised: 211_548_551, DroppedKernel: 12_340, DroppedPipeline: 10, Bytes: 190_884_201_112, Reports: 360},
		{Tap: "branch", Received: 120_031, Summarised: 120_031, Bytes: 44_201_112, Reports: 276},
	}
	for i := range 30 {
		for _, tap := range []string{"office", "rack-2"} {
			l := network.Ledger{Interface: "enp1s0f0", Received: 133_000 + uint64(i*711), Bytes: 88_567_225 + uint64(i*1001)}
			l.Summarised = l.Received
			if tap == "rack-2" && i%7 == 3 {
				l.DroppedKernel = 411
				l.Summarised -= 411
			}
			end := now.Add(-time.Duration(i*10+4) * time.Second)
			w.traffic.ledgers = append(w.traffic.ledgers, store.Ledger{ID: int64(i), Tap: network.TapID(tap), Boot: "b", Sequence: uint64(9000 - i), Start: end.Add(-10 * time.Second), End: end, Ledger: l})
		}
	}
	w.traffic.gaps = []store.Gap{{Tap: "branch", Gap: network.Gap{Boot: "a", Sequence: 4411, From: now.Add(-41 * time.Minute), To: now.Add(-40*time.Minute - 13*time.Second)}}}
}

var (
	dnsNames = []string{"www.example.org", "mail.example.org", "api.example.net", "deb.debian.org", "clock.example.com", "_ldap._tcp.example.org",
		"a-very-long-label-that-somebody-thought-to-be-a-good-idea.and-another-one-of-them.cdn.example-content-network.net", "17.2.0.192.in-addr.arpa", "push.example.com", "registry.example.io"}
	clients = []string{"192.0.2.17", "192.0.2.44", "192.0.2.130", "2001:db8:1::17", "2001:db8:1:0:3eec:efff:fe12:3456"}
	servers = []string{"198.51.100.7", "203.0.113.80", "198.51.100.200", "2001:db8:ff::53", "203.0.113.9"}
)

// populateRecords gives a page of rows of every kind.
func (w *world) populateRecords(now time.Time) {
	r := reporttest.New(1, network.Identity{Tap: "office"}, now, reporttest.Size{Records: 100})
	w.traffic.records = map[string][]store.Record{}
	for _, k := range store.Kinds() {
		if k.Own != "" || k.Name == store.KindLedgers || k.Name == store.KindGaps {
			continue
		}
		for i := range k.Rows(&r.Records).Len() {
			w.traffic.records[k.Name] = append(w.traffic.records[k.Name], store.NewRecord(k, int64(1000-i), "office", k.Rows(&r.Records).Row(i)))
		}
	}
}

func (w *world) populateTraffic(now time.Time) {
	rng := rand.New(rand.NewPCG(1, 2))
	begin := now.Truncate(time.Minute).Add(-60 * time.Minute)
	for i := range 61 {
		rate := 30 + 18*math.Sin(float64(i)/7) + 6*rng.Float64()
		if i == 41 {
			rate *= 2.6
		}
		w.traffic.points = append(w.traffic.points, store.TrafficPoint{Time: begin.Add(time.Duration(i) * time.Minute), Bytes: int64(rate * 1e7), Packets: int64(rate * 1.3e4), Flows: int64(rate * 40)})
	}
	for i, c := range append(clients, servers...) {
		n := int64(9_400_000_000) >> i
		w.traffic.talkers = append(w.traffic.talkers, store.Talker{Addr: addr(c), BytesIn: n, BytesOut: n / 7, Packets: n / 900, Flows: n / 900_000})
	}
	for i, n := range dnsNames {
		w.traffic.names = append(w.traffic.names, store.Name{Name: n, Last: now.Add(-time.Duration(i*3+2) * time.Second), Count: int64(1 + 4096>>i)})
		w.traffic.servers = append(w.traffic.servers, store.Name{Name: n, Last: now.Add(-time.Duration(i*5+2) * time.Second), Count: int64(1 + 1024>>i)})
	}
	for i := range 100 {
		c, s := addr(clients[i%len(clients)]), addr(servers[i%len(servers)])
		at := now.Add(-time.Duration(i*9+3) * time.Second)
		w.traffic.flows = append(w.traffic.flows, aFlow(i, at, c, s))
		w.traffic.dns = append(w.traffic.dns, aDNS(i, at, c, s))
		h := network.TLSHello{Time: at, Client: c, Server: s, SrcPort: uint16(40000 + i), DstPort: 443, SNI: dnsNames[i%len(dnsNames)], ALPN: []string{"h2", "http/1.1"}, Version: 0x0304, Proto: network.TCP, JA4: "t13d1516h2_8daaf6152771_e5627efa2ab1"}
		if i%3 == 0 {
			h.Chosen, h.Cipher, h.Protocol = 0x0303, 0xc02f, "h2"
			h.Subject, h.Issuer, h.Fingerprint = "CN="+h.SNI, "CN=Example CA,O=Example", fmt.Sprintf("%064x", i)
			h.NotBefore, h.NotAfter = at.AddDate(0, -1, 0), at.AddDate(0, 2, 0)
		}
		if i%9 == 4 {
			h.SNI, h.ALPN, h.Version = "", nil, 0x0303
		}
		w.traffic.tls = append(w.traffic.tls, store.TLS{ID: int64(i), Tap: "office", TLSHello: h})
	}
}

func aFlow(i int, at time.Time, c, s netip.Addr) store.Flow {
	f := network.Flow{Start: at, End: at.Add(time.Duration(i*i) * 7 * time.Millisecond), Source: c, Dest: s, SrcPort: uint16(40000 + i), DstPort: 443, Proto: network.TCP,
		SrcPkts: uint64(3 + i), DstPkts: uint64(5 + 3*i), SrcBytes: uint64(411 + i*97), DstBytes: uint64(1811 + i*i*3777), State: network.TCPEstablished, App: "tls"}
	switch i % 7 {
	case 2:
		f.Proto, f.DstPort, f.App, f.State = network.UDP, 53, "dns", network.TCPNone
	case 4:
		f.Proto, f.SrcPort, f.DstPort, f.App, f.State = network.ICMP, 8, 0, "", network.TCPNone
	case 5:
		f.State, f.App, f.DstPort = network.TCPRejected, "", 25
	}
	return store.Flow{ID: int64(i), Tap: "office", Flow: f, CommunityID: "1:LQU9qZlK+B5F3KDmev6m5PMibrg="}
}

func aDNS(i int, at time.Time, c, s netip.Addr) store.DNS {
	q := network.DNSQuery{Time: at, Client: c, Server: s, Port: uint16(50000 + i), Proto: network.UDP, Via: network.ViaDNS, Entropy: 3120, Recursion: true, Name: dnsNames[i%len(dnsNames)], Type: 1, Answered: true, Latency: time.Duration(870+i*911) * time.Microsecond, Answers: []string{"198.51.100.7", "198.51.100.8"}}
	switch i % 6 {
	case 1:
		q.Type, q.Answers = 28, []string{"2001:db8:ff::7"}
	case 3:
		q.RCode, q.Answers = 3, nil
	case 5:
		q.Answered, q.Answers, q.Type = false, nil, 65
	}
	return store.DNS{ID: int64(i), Tap: "office", DNSQuery: q}
}
