package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/report"
)

// otherPin is well-formed, and no server's.
var otherPin = "sha256:" + strings.Repeat("0", 64)

func TestBadEnrollment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fresh := func(t *testing.T) string { return filepath.Join(t.TempDir(), "peel") }
	w.unchanged(t, "wrong token", func(t *testing.T) {
		wrong := "rindenroll_0123456789abcdef_" + strings.Repeat("0", 64)
		refused(t, w.enroll(t, fresh(t), "one", wrong), "this token is none of this server's", "rind enroll token")
		refused(t, w.enroll(t, fresh(t), "one", "x"), "this token is none of this server's", "rind enroll token")
		refused(t, w.enroll(t, fresh(t), "one", ""), "a token is needed", "rind enroll token")
		good := w.token(t)
		last := "0"
		if strings.HasSuffix(good, "0") {
			last = "1"
		}
		refused(t, w.enroll(t, fresh(t), "one", good[:len(good)-1]+last), "none of this server's")
	})
	w.unchanged(t, "expired token", func(t *testing.T) {
		short := w.token(t, "--ttl", "1s", "--auto-approve")
		time.Sleep(1100 * time.Millisecond)
		refused(t, w.enroll(t, fresh(t), "one", short), "this token expired at", "rind enroll token")
		refused(t, w.rind(t, "enroll", "token", "--ttl", "1ms"), "from 1s to")
		refused(t, w.rind(t, "enroll", "token", "--ttl", "-1h"), "ttl", "such as 90s")
	})
	t.Run("token used twice", func(t *testing.T) {
		once := w.token(t)
		if a := w.enroll(t, fresh(t), "first", once); a.code != 3 {
			t.Fatalf("the first use: %+v", a)
		}
		w.unchanged(t, "the second time", func(t *testing.T) {
			refused(t, w.enroll(t, fresh(t), "second", once), "was used at", "by first", "a token enrolls one host", "rind enroll token")
			refused(t, w.enroll(t, fresh(t), "first", once), "was used at", "rind enroll token") // same id, other key
		})
	})
	w.unchanged(t, "wrong CA pin", func(t *testing.T) {
		tok := w.token(t, "--auto-approve")
		refused(t, w.enroll(t, fresh(t), "one", tok, "--pin", otherPin), "not the one that was expected", w.pin, "rind server pin")
		refused(t, w.enroll(t, fresh(t), "one", tok, "--pin", "sha256:12"), "is no pin", "rind server pin")
		dir := fresh(t)
		refused(t, command(t, nil, program(t, "rind-peel"), "enroll", "--data", dir, "--id", "one", "--server", w.url, "--token", tok, "--no-wait"),
			"not trusted", "pin")
		refused(t, command(t, nil, program(t, "rind-tap"), "join", "--data", dir, "--server", w.url, "--pin", otherPin, "--token", "rindtap_a_b"),
			"not the one that was expected", "rind server pin")
	})
	w.unchanged(t, "clock off by an hour", func(t *testing.T) { clockOff(t, w) })
	w.unchanged(t, "ids that cannot be", func(t *testing.T) {
		tok := w.token(t, "--auto-approve")
		for _, id := range []string{"*", ">", "a.b", "{{name()}}", "", strings.Repeat("a", 64), "a b", "a/b", "../a", "ä"} {
			dir := fresh(t)
			refused(t, w.enroll(t, dir, id, tok), "--id")
			if _, err := os.Stat(dir); err == nil {
				t.Errorf("the id %q made a folder", id)
			}
			status, body := w.begin(t, id, tok, time.Now())
			if status != http.StatusBadRequest {
				t.Errorf("the id %q over HTTPS: %d %s", id, status, body)
			}
		}
	})
	w.unchanged(t, "HTTPS client on the bus port", func(t *testing.T) {
		refused(t, w.enroll(t, fresh(t), "one", w.token(t), "--server", "https://"+w.bus), "does not speak HTTPS", "port of the bus")
		refused(t, command(t, nil, program(t, "rind-tap"), "join", "--data", fresh(t), "--server", "https://"+w.bus, "--pin", w.pin, "--token", "rindtap_a_b"), "NATS", "check the port")
		refused(t, w.enroll(t, fresh(t), "one", w.token(t), "--server", "https://127.0.0.1:1"), "cannot reach", "check the address")
	})
}

// begin asks for a nonce by hand.
func (w world) begin(t *testing.T, id, token string, at time.Time) (int, string) {
	t.Helper()
	key, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"token": token, "id": id, "public_key": public, "time": at})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client().Post(w.url+"/api/v1/enroll/begin", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

func clockOff(t *testing.T, w world) {
	tok := w.token(t, "--auto-approve")
	for off, word := range map[time.Duration]string{time.Hour: "ahead of", -time.Hour: "behind"} {
		status, body := w.begin(t, "one", tok, time.Now().Add(off))
		if status != http.StatusBadRequest {
			t.Errorf("%d %s", status, body)
		}
		says(t, body, "this host's clock is", word, "set it")
	}
	if status, body := w.begin(t, "one", tok, time.Now()); status != http.StatusOK {
		t.Errorf("the right time: %d %s", status, body)
	}
	if _, err := exec.LookPath("faketime"); err != nil {
		t.Log("not tried with a whole program: faketime is not installed")
	}
}

// TestTapTellsClock delivers to a node whose clock is an hour ahead.
func TestTapTellsClock(t *testing.T) {
	t.Parallel()
	node := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
		_, _ = w.Write([]byte(`{"status":"committed"}`))
	}))
	defer node.Close()
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: node.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	a := command(t, nil, program(t, "rind-tap"), "read", "--to", "node", "--data", dir, "--set", "node.urls="+node.URL,
		"--set", "node.ca_file="+ca, "--set", "node.token=rindtap_a_b", capture(t))
	if a.code != 0 {
		t.Errorf("%+v", a)
	}
	says(t, a.err, "this host's clock and the node's differ", "set the clock", "node_ahead")
}

// capture writes a small capture of just now.
func capture(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	if err := writePcap(&b, manyPackets(t)[:40]); err != nil {
		t.Fatal(err)
	}
	file := b.Bytes()
	for at := 24; at < len(file); at += 16 + 60 { // all are of 60 bytes
		copy(file[at:], le(uint32(time.Now().Unix())))
	}
	path := filepath.Join(t.TempDir(), "now.pcap")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// aReport is a good report of a tap.
func aReport(t *testing.T, tap string) []byte {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	b, err := report.Encode(&network.Report{
		Identity: network.Identity{Tap: network.TapID(tap), Boot: "01890a5d-ac96-774b-bcce-b302099a8057", Sequence: 1},
		Start:    now.Add(-10 * time.Second), End: now,
		Interfaces: []network.Ledger{{Interface: "eth0", Received: 1, Summarised: 1, Bytes: 60}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// post sends a report by hand.
func (w world) post(t *testing.T, token string, body io.Reader) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/api/v1/reports", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", report.ContentType)
	resp, err := client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// bomb is a report whose frame expands to a gigabyte.
func bomb(t *testing.T) []byte {
	t.Helper()
	b := bytes.NewBuffer([]byte("RIND\x01"))
	z, err := zstd.NewWriter(b, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	zeroes := make([]byte, 1<<20)
	for range 1024 {
		if _, err := z.Write(zeroes); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// large is a frame of more bytes than a report may have, none of which can be
// left out.
func large(t *testing.T) []byte {
	t.Helper()
	b := bytes.NewBufferString("RIND\x01")
	z, err := zstd.NewWriter(b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(z, mathrand.NewChaCha8([32]byte{}), 9<<20); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// peak is the most memory that a process had, in KiB.
func peak(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("skipped: %v", err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestBadReports(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tok := w.addTap(t, "edge")
	good := aReport(t, "edge")
	before := peak(t, w.proc.Process.Pid)
	for name, test := range map[string]struct {
		token  string
		body   []byte
		status int
		words  []string
	}{
		"wrong token":              {"rindtap_edge_" + strings.Repeat("a", 52), good, 401, []string{"no tap has this token", "rind tap add"}},
		"no token":                 {"", good, 401, []string{"needs a tap's token", "rind tap add"}},
		"another tap's report":     {tok, aReport(t, "other"), 403, []string{"give each tap its own"}},
		"larger than the limit":    {tok, large(t), 413, []string{"at most 8388608"}},
		"expands without bound":    {tok, bomb(t), 413, []string{"decoding a report"}},
		"truncated":                {tok, good[:len(good)/2], 400, []string{"decoding a report"}},
		"truncated in its magic":   {tok, good[:3], 400, []string{"decoding a report"}},
		"empty":                    {tok, nil, 400, []string{"decoding a report"}},
		"garbage":                  {tok, bytes.Repeat([]byte{0xff}, 1000), 400, []string{"decoding a report"}},
		"a frame that is no zstd":  {tok, append([]byte("RIND\x01"), 1, 2, 3, 4, 5, 6, 7, 8), 400, []string{"decoding a report"}},
		"a version of the future":  {tok, append([]byte("RIND\x63"), good[5:]...), 400, []string{"version"}},
		"garbage behind the frame": {tok, append(bytes.Clone(good), "xxxxxxxx"...), 400, []string{"decoding a report"}},
	} {
		w.unchanged(t, name, func(t *testing.T) {
			// With a length, and without one.
			for _, body := range []io.Reader{bytes.NewReader(test.body), io.MultiReader(bytes.NewReader(test.body))} {
				status, answer := w.post(t, test.token, body)
				if status != test.status {
					t.Errorf("status %d, want %d: %s", status, test.status, answer)
				}
				if status == http.StatusRequestEntityTooLarge && strings.Contains(answer, "more than") {
					continue // it was not known before how long it is
				}
				says(t, answer, test.words...)
			}
		})
	}
	w.unchanged(t, "cut off on its way", func(t *testing.T) {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(w.url, "https://"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = fmt.Fprintf(conn, "POST /api/v1/reports HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
			tok, report.ContentType, len(good), good[:len(good)/2])
		if err := errors.Join(err, conn.CloseWrite()); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		answer, _ := io.ReadAll(conn) // until the server hangs up
		says(t, string(answer), "408 ", "the report was cut off")
	})
	var brief struct{ Token string }
	if a := w.rind(t, "tap", "add", "brief", "--ttl", "1s", "-o", "json"); json.Unmarshal([]byte(a.out), &brief) != nil || brief.Token == "" {
		t.Fatalf("tap add: %+v", a)
	}
	time.Sleep(1100 * time.Millisecond)
	w.unchanged(t, "expired token", func(t *testing.T) {
		status, answer := w.post(t, brief.Token, bytes.NewReader(aReport(t, "brief")))
		if status != http.StatusForbidden {
			t.Errorf("%d %s", status, answer)
		}
		says(t, answer, "has expired", "rind tap rotate brief")
	})
	if grown := peak(t, w.proc.Process.Pid) - before; grown > maxRSS {
		t.Errorf("the server grew by %d KiB", grown)
	}
	if status, answer := w.post(t, tok, bytes.NewReader(good)); status != 200 || !strings.Contains(answer, "committed") {
		t.Errorf("the good report: %d %s", status, answer)
	}
	w.unchanged(t, "a report again", func(t *testing.T) {
		if status, answer := w.post(t, tok, bytes.NewReader(good)); status != 200 || !strings.Contains(answer, "duplicate") {
			t.Errorf("%d %s", status, answer)
		}
	})
}

func TestRevokedTapKeepsItsReports(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := filepath.Join(t.TempDir(), "edge")
	tok := w.addTap(t, "edge")
	join := []string{"join", "--data", dir, "--server", w.url, "--pin", w.pin, "--token", tok}
	if a := command(t, nil, program(t, "rind-tap"), join...); a.code != 0 {
		t.Fatalf("join: %+v", a)
	}
	if a := w.rind(t, "tap", "revoke", "edge"); a.code != 0 {
		t.Fatalf("revoke: %+v", a)
	}
	w.unchanged(t, "by hand", func(t *testing.T) {
		status, answer := w.post(t, tok, bytes.NewReader(aReport(t, "edge")))
		if status != http.StatusForbidden {
			t.Errorf("%d %s", status, answer)
		}
		says(t, answer, "is revoked", "rind tap add edge")
	})
	w.unchanged(t, "reading a file", func(t *testing.T) {
		a := command(t, nil, program(t, "rind-tap"), "read", "--to", "node", "--data", dir, capture(t))
		refused(t, a, "is revoked", "rind tap add edge", "1 reports were not delivered")
	})
	w.unchanged(t, "joining again", func(t *testing.T) {
		refused(t, command(t, nil, program(t, "rind-tap"), join...), "does not take this token", "is revoked", "rind tap add edge")
	})
	w.unchanged(t, "capturing", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("skipped: capturing needs root")
		}
		// The parsing process runs as another user, who has to reach the folder.
		data := newServer(t).dir
		if err := os.CopyFS(filepath.Join(data, "tap"), os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		tap := filepath.Join(data, "tap")
		p := start(t, "", nil, program(t, "rind-tap"), "run", "--data", tap, "--interface", "lo", "--set", "report.interval=1s")
		eventually(t, 20*time.Second, "the tap says that it is revoked", func() error {
			said := p.errOut.String()
			if !strings.Contains(said, "does not take this tap's token; reports are kept") || !strings.Contains(said, "rind tap add edge") {
				return errors.New(said)
			}
			return nil
		})
		if kept, _ := filepath.Glob(filepath.Join(tap, "spool", "*")); len(kept) == 0 {
			t.Error("no report is kept")
		}
		if p.ended() {
			t.Errorf("it ended: %v", p.err)
		}
	})
}

// TestStrangersOnTheBus: keys that this fleet did not make, and other
// protocols.
func TestStrangersOnTheBus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	account, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := user.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	forged, err := jwt.NewUserClaims(public).Encode(account)
	if err != nil {
		t.Fatal(err)
	}
	var enrolled struct{ JWT string }
	known := w.enrolled(t, "known")
	data, err := os.ReadFile(filepath.Join(known, "identity.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &enrolled); err != nil || enrolled.JWT == "" {
		t.Fatalf("the peel's identity: %v", err)
	}
	eventually(t, 10*time.Second, "the peel is in the list", func() error {
		if w.presence(t, "known") == "" {
			return errors.New("it is not")
		}
		return nil
	})
	insecure := nats.Secure(&tls.Config{InsecureSkipVerify: true})
	given := func(token string) nats.Option {
		return nats.UserJWT(func() (string, error) { return token, nil }, user.Sign)
	}
	for name, opts := range map[string][]nats.Option{
		"nobody":                        {insecure},
		"a key of another account":      {insecure, given(forged)},
		"a peel's JWT with another key": {insecure, given(enrolled.JWT)},
		"a name and a password":         {insecure, nats.UserInfo("admin", "admin")},
	} {
		w.unchanged(t, name, func(t *testing.T) {
			nc, err := nats.Connect("tls://"+w.bus, opts...)
			if err == nil {
				nc.Close()
				t.Fatal("it was let in")
			}
			if !errors.Is(err, nats.ErrAuthorization) {
				t.Errorf("%v", err)
			}
		})
	}
	logs := func(t *testing.T, words string) {
		t.Helper()
		eventually(t, 10*time.Second, "the server's log says what it was", func() error {
			if !strings.Contains(w.proc.errOut.String(), words) {
				return errors.New(w.proc.errOut.String())
			}
			return nil
		})
	}
	logs(t, "unknown, expired or revoked key; rind enroll list shows who is enrolled")
	w.unchanged(t, "without TLS", func(t *testing.T) {
		if nc, err := nats.Connect("nats://"+w.bus, given(forged)); err == nil {
			nc.Close()
			t.Error("it was let in")
		}
	})
	w.unchanged(t, "an HTTP client", func(t *testing.T) {
		for _, scheme := range []string{"http://", "https://"} {
			if resp, err := client().Get(scheme + w.bus + "/"); err == nil {
				resp.Body.Close()
				t.Errorf("%s was answered %s", scheme, resp.Status)
			}
		}
		logs(t, "this is the bus port (nats.listen)")
		logs(t, "use the HTTPS address of the server instead")
	})
	w.unchanged(t, "HTTP to the HTTPS port", func(t *testing.T) {
		resp, err := client().Get("http://" + strings.TrimPrefix(w.url, "https://"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s %s", resp.Status, body)
		}
		says(t, string(body), "HTTPS server")
	})
	w.unchanged(t, "a peel on the HTTPS port", func(t *testing.T) {
		moved := bytes.ReplaceAll(data, []byte("tls://"+w.bus), []byte("tls://"+strings.TrimPrefix(w.url, "https://")))
		if err := os.WriteFile(filepath.Join(known, "identity.json"), moved, 0o600); err != nil {
			t.Fatal(err)
		}
		p := start(t, "", nil, program(t, "rind-peel"), "run", "--data", known)
		eventually(t, 20*time.Second, "it says which port it is", func() error {
			if !strings.Contains(p.errOut.String(), "is it the HTTPS port") {
				return errors.New(p.errOut.String())
			}
			return nil
		})
		says(t, p.errOut.String(), "nats.listen", "4222")
	})
}
