package e2e

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/miekg/dns"

	"github.com/rind-project/rind/internal/web/browsertest"
)

// Where the servers of the browser's test listen: an address of the loopback
// interface that nothing else uses.
const loopAddr = "127.77.0.53"

// The datagrams that the test sends, and what a flow of them weighs: 100 bytes
// each behind 14 of Ethernet, 20 of IPv4 and 8 of UDP.
const (
	datagrams     = 50
	datagramPort  = "9053"
	datagramBytes = datagrams * (14 + 20 + 8 + 100)
)

// TestPagesInBrowser does with the real product what a person does on the
// first day: log in with the password that was printed and change it, look at
// the overview, run a job, and find one's own traffic.
func TestPagesInBrowser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped: capturing on the loopback interface needs root")
	}
	b := browser{browsertest.New(t)}
	loopbackServers(t)
	s := newServer(t)
	p := start(t, "", nil, program(t, "rind"), "up", "--data", s.dir, "--listen", "127.0.0.1:0", "--bus-listen", "127.0.0.1:0", "--interface", "lo")
	var url, password string
	eventually(t, 60*time.Second, "rind up says where and with what", func() error {
		if p.ended() {
			t.Fatalf("rind up ended: %v", p.err)
		}
		said := p.out.String()
		url, password = first(said, `https://\S+`), first(said, `\S+(?:\s+one-time password)`)
		if url == "" || password == "" || !strings.Contains(said, "Ctrl-C") {
			return fmt.Errorf("it says %q", said)
		}
		return nil
	})
	eventually(t, 30*time.Second, "the tap reports", func() error {
		n, err := reports(s)
		if err == nil && n == 0 {
			err = errors.New("no report yet")
		}
		return err
	})
	loopbackTraffic(t)

	b.Look(t, 1600, "light")
	b.Do(t, chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("#password")), chromedp.SendKeys(chromedp.CSS("#name"), "admin"),
		chromedp.SendKeys(chromedp.CSS("#password"), strings.Fields(password)[0]+"\r"))
	browseFirstLogin(t, b, url, strings.Fields(password)[0])
	t.Run("overview", func(t *testing.T) { browseOverview(t, b, url) })
	t.Run("job", func(t *testing.T) { browseJob(t, b, url) })
	t.Run("traffic", func(t *testing.T) { browseTraffic(t, b, url) })
	t.Run("narrow", func(t *testing.T) { browseNarrow(t, b, url) })
	if said := b.Console(); len(said) > 0 {
		t.Errorf("the browser's console says %q", said)
	}
}

// browseFirstLogin changes the one-time password, as the page asks, and logs in
// with the own one.
func browseFirstLogin(t *testing.T, b browser, url, given string) {
	t.Helper()
	const own = "a few words of my own"
	b.Do(t, chromedp.WaitVisible(chromedp.CSS("#pw-old")))
	b.shows(t, "main", "Change your password first.")
	b.open(t, url+"/hosts")
	b.shows(t, "main", "Change your password first.")
	b.Do(t, chromedp.SendKeys(chromedp.CSS("#pw-old"), given), chromedp.SendKeys(chromedp.CSS("#pw-new"), own+"\r"), chromedp.WaitVisible(chromedp.CSS("#password")))
	b.Do(t, chromedp.SendKeys(chromedp.CSS("#name"), "admin"), chromedp.SendKeys(chromedp.CSS("#password"), own+"\r"), chromedp.WaitVisible(chromedp.CSS("nav .places a")))
}

func browseOverview(t *testing.T, b browser, url string) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	id := strings.ReplaceAll(strings.ToLower(host), ".", "_")
	b.open(t, url+"/")
	// No reload from here on: what is new comes over the live connection.
	b.shows(t, "#figures", "hosts connected 1 of 1", "taps reporting 1 of 1", "packets lost")
	b.shows(t, "#taps", id+" reporting")
	b.shows(t, "#names", "first.browser.test", "second.browser.test")
	b.shows(t, "#servers", "shop.browser.test")
	b.shows(t, "#talkers", loopAddr)
	if sum := b.text(t, "#traffic-sum"); !strings.Contains(sum, "B in ") || strings.HasPrefix(sum, "0 B") {
		t.Errorf("the traffic's sum is %q", sum)
	}
	if !browsertest.Eval[bool](t, b.Browser, `document.querySelector("#traffic canvas") !== null`) {
		t.Error("there is no chart of the traffic")
	}
	b.open(t, url+"/hosts")
	b.shows(t, "#hosts", id+" connected")
	b.Do(t, chromedp.Click(chromedp.CSS("#hosts tbody a")), chromedp.WaitVisible(chromedp.CSS("#facts")))
	b.shows(t, "#facts", host, "127.0.0.1/8")
}

func browseJob(t *testing.T, b browser, url string) {
	b.open(t, url+"/jobs")
	b.Do(t, chromedp.SendKeys(chromedp.CSS("#run-target"), "*"), chromedp.SendKeys(chromedp.CSS("#run-arg"), "sleep 2; echo forty-$((40+2)); echo beside >&2; exit 3\r"),
		chromedp.WaitVisible(chromedp.CSS("#summary")))
	b.shows(t, "#summary", "running")
	if got := b.text(t, ".returns"); strings.Contains(got, "forty") {
		t.Fatalf("the return is there before the job has ended: %q", got)
	}
	browsertest.Eval[bool](t, b.Browser, `window.sameDocument = true`)
	b.shows(t, ".returns", "failed", "forty-42", "stderr", "beside", "exit code 3")
	b.shows(t, "#summary", "1 targeted, 1 answered, 1 failed, 0 missing")
	if !browsertest.Eval[bool](t, b.Browser, `window.sameDocument === true`) {
		t.Error("the page was loaded again: the return did not arrive live")
	}
}

func browseTraffic(t *testing.T, b browser, url string) {
	b.open(t, fmt.Sprintf("%s/flows?addr=%s&port=%s&proto=17", url, loopAddr, datagramPort))
	b.shows(t, "#rows", loopAddr+" :"+datagramPort, "UDP", "6.93 KiB")
	titles := browsertest.Eval[[]string](t, b.Browser, `[...document.querySelectorAll("#rows tbody tr")].map(r => [...r.querySelectorAll("td[title]")].map(c => c.title).join(" and "))`)
	if len(titles) != 1 || strings.ReplaceAll(titles[0], "\u202f", "") != fmt.Sprintf("%d B and 0 B", datagramBytes) {
		t.Errorf("the flow of %d bytes is shown as %q", datagramBytes, titles)
	}
	b.open(t, url+"/dns?addr="+loopAddr)
	b.shows(t, "#rows", "first.browser.test dns A NOERROR", "second.browser.test dns A NOERROR", "absent.browser.test dns A NXDOMAIN")
	b.open(t, url+"/tls?name=.browser.test")
	b.shows(t, "#rows", "shop.browser.test TLS 1.3")
}

func browseNarrow(t *testing.T, b browser, url string) {
	b.Look(t, 390, "light")
	for _, page := range []string{"/", "/hosts", "/jobs", "/flows", "/dns", "/tls", "/taps", "/enrollment", "/account", "/nothing-here"} {
		b.open(t, url+page)
		if wide := browsertest.Eval[int](t, b.Browser, `document.documentElement.scrollWidth`); wide > 390 {
			t.Errorf("%s is %d pixels wide on a screen of 390", page, wide)
		}
		if page == "/nothing-here" {
			b.Console() // that it is not there is the point
		}
	}
}

// first is the first match of a pattern, or "".
func first(text, pattern string) string { return regexp.MustCompile(pattern).FindString(text) }

// loopbackServers answers DNS, TLS and nothing on loopAddr.
func loopbackServers(t *testing.T) {
	t.Helper()
	sink, err := net.ListenPacket("udp", net.JoinHostPort(loopAddr, datagramPort))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sink.Close() })
	queries, err := net.ListenPacket("udp", loopAddr+":53")
	if err != nil {
		t.Skipf("skipped: a name server of this machine takes every address: %v", err)
	}
	answers := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		if q.Question[0].Name == "absent.browser.test." {
			m.Rcode = dns.RcodeNameError
		} else {
			m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.ParseIP(loopAddr)}}
		}
		_ = w.WriteMsg(m)
	})
	names := &dns.Server{PacketConn: queries, Handler: answers}
	go func() { _ = names.ActivateAndServe() }()
	t.Cleanup(func() { _ = names.Shutdown() })
	cert, err := selfSigned("shop.browser.test")
	if err != nil {
		t.Fatal(err)
	}
	shop, err := tls.Listen("tcp", loopAddr+":9443", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shop.Close() })
	go func() {
		for {
			conn, err := shop.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "welcome")
			_ = conn.Close()
		}
	}()
}

// loopbackTraffic asks three names, makes a TLS connection, and sends a flow of
// known size.
func loopbackTraffic(t *testing.T) {
	t.Helper()
	for _, name := range []string{"first.browser.test.", "second.browser.test.", "absent.browser.test."} {
		m := new(dns.Msg)
		m.SetQuestion(name, dns.TypeA)
		if _, _, err := (&dns.Client{Timeout: 5 * time.Second}).Exchange(m, loopAddr+":53"); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := tls.Dial("tcp", loopAddr+":9443", &tls.Config{InsecureSkipVerify: true, ServerName: "shop.browser.test"}) // the certificate is the test's own
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, conn)
	_ = conn.Close()
	out, err := net.Dial("udp", net.JoinHostPort(loopAddr, datagramPort))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	for range datagrams {
		if _, err := out.Write(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
}

// browser is a tab that reads pages as a person does.
type browser struct{ *browsertest.Browser }

// open loads a page and waits for its content.
func (b browser) open(t *testing.T, url string) {
	t.Helper()
	b.Do(t, chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("main h1")))
}

// text is what a person reads in an element, its white space made one.
func (b browser) text(t *testing.T, selector string) string {
	t.Helper()
	return browsertest.Eval[string](t, b.Browser, fmt.Sprintf(`(document.querySelector(%q)?.innerText ?? "").replace(/\s+/g, " ")`, selector))
}

// shows waits until an element has every text, without loading the page again:
// two reports' time, since a name may come in a report later than its flow.
func (b browser) shows(t *testing.T, selector string, texts ...string) {
	t.Helper()
	eventually(t, 25*time.Second, selector+" shows it", func() error {
		got := b.text(t, selector)
		for _, want := range texts {
			if !strings.Contains(got, want) {
				return fmt.Errorf("%q is not in %q", want, got)
			}
		}
		return nil
	})
}
