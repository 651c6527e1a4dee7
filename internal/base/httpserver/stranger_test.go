package httpserver

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Who speaks another protocol is told of once a minute; what strangers break
// otherwise stays below the warnings.
func TestStrangersAreToldOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := newStrangers(slog.New(slog.NewTextHandler(&out, nil)), "write https://")
		say := func(format string, args ...any) string {
			out.Reset()
			line := fmt.Sprintf(format, args...) + "\n"
			if n, err := s.Write([]byte(line)); n != len(line) || err != nil {
				t.Errorf("%d %v", n, err)
			}
			return out.String()
		}
		const plain = "http: TLS handshake error from 192.0.2.1:%d: client sent an HTTP request to an HTTPS server"
		if got := say(plain, 1); !strings.Contains(got, "level=WARN") || !strings.Contains(got, "from=192.0.2.1:1 times=1 reason=plain_http") || !strings.Contains(got, "write https://") {
			t.Errorf("the first: %q", got)
		}
		for n := range 50 {
			if got := say(plain, n); got != "" {
				t.Errorf("told again: %q", got)
			}
		}
		if got := say("http: TLS handshake error from [::1]:2: tls: first record does not look like a TLS handshake"); !strings.Contains(got, "from=[::1]:2 times=1 reason=no_tls") {
			t.Errorf("another kind: %q", got)
		}
		for _, quiet := range []string{
			"http: TLS handshake error from 192.0.2.1:3: EOF",
			"http: TLS handshake error from 192.0.2.1:3: remote error: tls: bad certificate",
			"http: response.WriteHeader on hijacked connection", "",
		} {
			if got := say("%s", quiet); got != "" {
				t.Errorf("%q is told: %q", quiet, got)
			}
		}
		time.Sleep(tellAgain)
		if got := say(plain, 9); !strings.Contains(got, "from=192.0.2.1:9 times=51") {
			t.Errorf("a minute later: %q", got)
		}
	})
}

func TestStrangersHaveAHint(t *testing.T) {
	t.Parallel()
	if s := newStrangers(slog.New(slog.DiscardHandler), ""); !strings.Contains(s.hint, "https://") {
		t.Errorf("the hint is %q", s.hint)
	}
}
