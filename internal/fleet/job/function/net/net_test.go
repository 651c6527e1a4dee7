package net

import (
	"context"
	"errors"
	stdnet "net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mdns "github.com/miekg/dns"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/localtest"
)

type host struct{ facts fleet.Facts }

func (host) ID() fleet.PeelID { return "web" }
func (host) Version() string  { return "1" }
func (host) Ask(context.Context, string, []byte) ([]byte, error) {
	return nil, errors.New("nobody to ask")
}
func (host) Settings(context.Context, bool) (string, map[string]any, error) {
	return "", nil, errors.New("no settings")
}
func (host) Event(context.Context, string, []byte) error  { return errors.New("nobody to tell") }
func (host) Vouched(job.Word, []byte, []byte) error       { return errors.New("nobody says a word") }
func (h host) Facts(context.Context) (fleet.Facts, error) { return h.facts, nil }

const (
	routeText = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	0102000A	0003	0	0	100	00000000	0	0	0
eth0	0002000A	00000000	0001	0	0	0	00FFFFFF	0	0	0
down	0003000A	00000000	0000	0	0	0	00FFFFFF	0	0	0
torn	xx
`
	route6Text = `fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000005 00000000 80200001       lo
fd000000000000000000000000000002 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000003 00000000 80200001     eth0
`
	tcpText = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   109        0 17831 1 0 100 0 0 10 0
   1: 0A02000A:0016 0102000A:C9F4 01 00000000:00000000 02:000A7214 00000000     0        0 24402 2 0 20 4 24 10 -1
   2: torn
`
	tcp6Text = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 17840 1 0 100 0 0 10 0
   1: 0000000000000000FFFF00000A02000A:0050 0000000000000000FFFF00000102000A:D431 06 00000000:00000000 03:000014F5 00000000     0        0 0 3 0
   2: B80D0120000000000000000001000000:0050 B80D0120000000000000000002000000:D431 01 00000000:00000000 03:000014F5 00000000     0        0 0 3 0
`
	udpText = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  101: 00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1200 2 0 0
`
)

func TestRoutes(t *testing.T) {
	t.Parallel()
	h := localtest.New(t)
	h.File("proc/net/route", routeText)
	h.File("proc/net/ipv6_route", route6Text)
	res, err := localtest.Do(t, Runs(h.System), nil, "net.routes")
	want := []Route{{"default", "10.0.2.1", "eth0", 100}, {"10.0.2.0/24", "", "eth0", 0}, {"fd00::/64", "", "eth0", 256}, {"default", "fe80::1", "eth0", 1024}}
	if diff := cmp.Diff(any(want), res.Value); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestConnections(t *testing.T) {
	t.Parallel()
	h := localtest.New(t)
	h.File("proc/net/tcp", tcpText)
	h.File("proc/net/tcp6", tcp6Text)
	h.File("proc/net/udp", udpText)
	h.File("etc/passwd", "mysql:x:109:109::/:/bin/false\n")
	h.File("proc/77/comm", "mysqld\n")
	h.File("proc/77/fd/x", "")
	if err := os.Symlink("socket:[17831]", h.Path("proc/77/fd/3")); err != nil {
		t.Fatal(err)
	}
	res, err := localtest.Do(t, Runs(h.System), nil, "net.connections")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range res.Value.([]Connection) {
		got = append(got, strings.Join([]string{c.Protocol, c.State, c.Local, c.Remote, c.User, strconv.Itoa(c.PID), c.Program}, " "))
	}
	want := []string{
		"tcp listen 127.0.0.1:3306 * mysql 77 mysqld", "tcp established 10.0.2.10:22 10.0.2.1:51700 0 0 ",
		"tcp listen [::]:80 * 0 0 ", "tcp time_wait 10.0.2.10:80 10.0.2.1:54321 0 0 ", "tcp established [2001:db8::1]:80 [2001:db8::2]:54321 0 0 ",
		"udp open 0.0.0.0:68 * 0 0 ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for args, want := range map[string]int{"state=LISTEN": 2, "protocol=udp": 1, "port=80": 3, "port=51700": 1} {
		if res, err := localtest.Do(t, Runs(h.System), nil, "net.connections", args); err != nil || len(res.Value.([]Connection)) != want {
			t.Errorf("%s: %+v, %v", args, res.Value, err)
		}
	}
	if _, err := localtest.Do(t, Runs(h.System), nil, "net.connections", "state=listn"); err == nil || !strings.Contains(err.Error(), "did you mean listen?") {
		t.Errorf("a state that there is not: %v", err)
	}
	if res, err := localtest.Do(t, Runs(h.System), nil, "net.connections", "limit=2"); err != nil || res.Failed != "6 sockets are found; these are the first 2" {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestThisHost finds a socket of the test's own, with its process.
func TestThisHost(t *testing.T) {
	t.Parallel()
	l, err := stdnet.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*stdnet.TCPAddr).Port
	res, err := localtest.Do(t, Runs(local.Host()), nil, "net.connections", "state=listen", "port="+strconv.Itoa(port))
	if all := res.Value.([]Connection); err != nil || len(all) != 1 || all[0].PID != os.Getpid() || all[0].Local != l.Addr().String() {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestInterfaces(t *testing.T) {
	t.Parallel()
	h := localtest.New(t)
	h.File("sys/class/net/eth0/statistics/rx_bytes", "42\n")
	h.File("sys/class/net/eth0/statistics/tx_errors", "3\n")
	res, err := localtest.Do(t, Runs(h.System), host{fleet.Facts{Interfaces: []fleet.Interface{{Name: "eth0", MTU: 1500}}}}, "net.interfaces")
	if all := res.Value.([]Interface); err != nil || len(all) != 1 || all[0].Received != 42 || all[0].Errors != 3 || all[0].MTU != 1500 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"127.0.0.1", "::1"} {
		p, err := listen(netip.MustParseAddr(to))
		if err != nil {
			t.Skip(err)
		}
		p.conn.Close()
		res, err := localtest.Do(t, Runs(local.Host()), nil, "net.ping", to, "count=2", "interval=100ms")
		if err != nil && to == "::1" {
			t.Skip(err)
		}
		if r, ok := res.Value.(Ping); err != nil || !ok || r.Sent != 2 || r.Received != 2 || r.Loss != 0 || r.Min <= 0 || r.Min > r.Max {
			t.Errorf("%s: %+v, %v", to, res, err)
		}
	}
	if _, err := localtest.Do(t, Runs(local.Host()), nil, "net.ping", "-c"); err == nil || !strings.Contains(err.Error(), "has no address") {
		t.Errorf("got %v", err)
	}
}

// TestDNS asks a server of the test's own.
func TestDNS(t *testing.T) {
	t.Parallel()
	conn, err := stdnet.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	server := &mdns.Server{PacketConn: conn, NotifyStartedFunc: func() { close(started) }, Handler: mdns.HandlerFunc(func(w mdns.ResponseWriter, q *mdns.Msg) {
		m := new(mdns.Msg)
		m.SetReply(q)
		for _, line := range []string{"a.test. 60 A 192.0.2.7", "a.test. 60 A 192.0.2.8", "a.test. 60 AAAA 2001:db8::7", "a.test. 60 MX 10 mail.test.", "a.test. 60 TXT \"v=x\""} {
			rr, err := mdns.NewRR(line)
			if err != nil {
				panic(err)
			}
			if h := rr.Header(); h.Name == q.Question[0].Name && h.Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
		if q.Question[0].Name != "a.test." {
			m.Rcode = mdns.RcodeNameError
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.ShutdownContext(ctx)
	})
	<-started
	at := "server=" + conn.LocalAddr().String()
	for kind, want := range map[string]string{"A": "192.0.2.7 192.0.2.8", "AAAA": "2001:db8::7", "ADDR": "192.0.2.7 192.0.2.8 2001:db8::7", "MX": "10 mail.test.", "TXT": "v=x"} {
		res, err := localtest.Do(t, Runs(local.Host()), nil, "net.dns", "a.test.", "type="+kind, at)
		if got, _ := res.Value.([]string); err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %q, %v, want %q", kind, got, err, want)
		}
	}
	if _, err := localtest.Do(t, Runs(local.Host()), nil, "net.dns", "b.test.", at); err == nil || !strings.Contains(err.Error(), `"b.test." has no record`) {
		t.Errorf("got %v", err)
	}
	if _, err := localtest.Do(t, Runs(local.Host()), nil, "net.dns", "a.test.", "server=nowhere"); err == nil || !strings.Contains(err.Error(), "no address of a server") {
		t.Errorf("got %v", err)
	}
}

func FuzzTables(f *testing.F) {
	f.Add(routeText)
	f.Add(route6Text)
	f.Add(tcpText + tcp6Text + udpText)
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range append(parseRoutes(text), parseRoutes6(text)...) {
			if strings.ContainsAny(r.Interface, "\n\x1b") {
				t.Errorf("%+v", r)
			}
		}
		parseSockets(text, "tcp", local.Names{})
	})
}
