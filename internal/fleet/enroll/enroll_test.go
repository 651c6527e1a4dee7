package enroll

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/base/errs"
)

func TestServerURL(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"rind.example.net":                "https://rind.example.net:8443",
		"rind.example.net:9000":           "https://rind.example.net:9000",
		"https://rind.example.net":        "https://rind.example.net:8443",
		"https://rind.example.net:1/sub/": "https://rind.example.net:1/sub",
		"192.0.2.1":                       "https://192.0.2.1:8443",
		"[2001:db8::1]":                   "https://[2001:db8::1]:8443",
		"https://[2001:db8::1]:9":         "https://[2001:db8::1]:9",
		"http://rind.example.net":         "",
		"ftp://rind.example.net":          "",
		"":                                "",
		"https://u:p@rind.example.net":    "",
		"https://":                        "",
		"a b":                             "",
	} {
		got, err := ServerURL(in)
		if got != want || (err == nil) != (want != "") || err != nil && !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestBusURLs(t *testing.T) {
	t.Parallel()
	got, err := busURLs([]string{"tls://:4222", "tls://bus.example.net:4223", "tls://[2001:db8::2]:1"}, "https://[2001:db8::1]:8443")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"tls://[2001:db8::1]:4222", "tls://bus.example.net:4223", "tls://[2001:db8::2]:1"}, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"nats://h:4222", "tls://h", "h:4222", "tls://u:p@h:1", "", "tls://h:x"} {
		if got, err := busURLs([]string{bad}, "https://h:1"); err == nil {
			t.Errorf("%q became %v", bad, got)
		}
	}
}

func TestMessagesDiffer(t *testing.T) {
	t.Parallel()
	nonce := []byte("nonce")
	at := time.Unix(1, 5)
	all := [][]byte{
		Message(ForJoin, nonce, "a", "U1", "p"), Message(ForRenew, nonce, "a", "U1", "p"), Message(ForJoin, []byte("other"), "a", "U1", "p"),
		Message(ForJoin, nonce, "b", "U1", "p"), Message(ForJoin, nonce, "a", "U2", "p"), Message(ForJoin, nonce, "a", "U1", "q"),
		Message(ForJoin, nonce, "a", "U1\np", ""), PollMessage(at, "a", "U1", "p"), PollMessage(at.Add(1), "a", "U1", "p"),
	}
	seen := map[string]int{}
	for i, m := range all {
		if j, dup := seen[string(m)]; dup {
			t.Errorf("messages %d and %d are the same", i, j)
		}
		seen[string(m)] = i
		if !bytes.HasPrefix(m, []byte(domain+"\n")) {
			t.Errorf("message %d does not start with the domain", i)
		}
	}
}

// The broker chooses what a peel signs at connect; it must not be able to
// collect the answer to an enrollment's nonce that way.
func TestBusNonceIsNoEnrollment(t *testing.T) {
	t.Parallel()
	kp, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	i := &Identity{ID: "web-01", key: kp}
	if _, err := i.Sign([]byte("btru8T3KFE8SnCI")); err != nil {
		t.Errorf("a nonce of the bus: %v", err)
	}
	if _, err := i.Sign(Message(ForRenew, []byte("n"), "web-01", i.PublicKey(), "p")); !errs.Is(err, errs.Forbidden) {
		t.Errorf("an enrollment's message: %v", err)
	}
	if _, err := i.UserJWT(); !errs.Is(err, errs.Unavailable) {
		t.Errorf("no permission: %v", err)
	}
	if !i.RenewAt().IsZero() {
		t.Error("without a permission the renewal is not due")
	}
}

// Whatever passes the checks can stand in a subject, a log line and a page.
func FuzzRequests(f *testing.F) {
	kp, err := nkeys.CreateUser()
	if err != nil {
		f.Fatal(err)
	}
	pub, _ := kp.PublicKey()
	good, _ := json.Marshal(BeginRequest{Token: "t", ID: "web-01", PublicKey: pub, Hostname: "h", Time: time.Unix(1e9, 0)})
	f.Add(good)
	f.Add([]byte(`{"id":"{{name()}}","token":"x","public_key":"` + pub + `","time":"2026-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"id":"*","time":"0000-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"challenge":"00","signature":"AAAA"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var b BeginRequest
		if json.Unmarshal(data, &b) == nil && b.Validate() == nil {
			if strings.ContainsAny(string(b.ID), "*>. {}\n") || len(b.ID) == 0 || len(b.ID) > 63 || strings.ContainsAny(b.Hostname+b.Version, "\x00\x1b\n\r") || !nkeys.IsValidPublicUserKey(b.PublicKey) {
				t.Errorf("passed: %+v", b)
			}
		}
		var a AnswerRequest
		if json.Unmarshal(data, &a) == nil && a.Validate() == nil && (len(a.Challenge) != 32 || len(a.Signature) != 64) {
			t.Errorf("passed: %+v", a)
		}
		var p PollRequest
		if json.Unmarshal(data, &p) == nil && p.Validate() == nil && p.Time.IsZero() {
			t.Errorf("passed: %+v", p)
		}
	})
}
