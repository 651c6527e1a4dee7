package server

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/base/pki"
	"github.com/rind-project/rind/internal/fleet/enroll"
)

// wire speaks the NATS client protocol by hand, so that what the tests see is
// the broker's answer and not a client library's.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	got  map[string][]string // payloads by subject
}

// greet opens a connection to the bus as far as TLS, and returns the nonce to
// sign.
func (r *running) greet(t *testing.T, caPEM []byte) (w *wire, nonce string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", r.BusAddr(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(60 * time.Second))
	line, err := bufio.NewReaderSize(conn, 8<<10).ReadString('\n')
	if err != nil {
		t.Fatalf("the bus does not greet: %v", err)
	}
	var info struct{ Nonce string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(line, "INFO ")), &info); err != nil {
		t.Fatalf("the bus greets with %q: %v", line, err)
	}
	conf, err := pki.PoolTLS(caPEM)
	if err != nil {
		t.Fatal(err)
	}
	conf.ServerName, conf.MinVersion = "127.0.0.1", tls.VersionTLS13
	secure := tls.Client(conn, conf)
	return &wire{conn: secure, in: bufio.NewReader(secure), got: map[string][]string{}}, info.Nonce
}

// dial connects to the bus as the peel or, without one, as nobody. It does not
// wait for the broker's verdict.
func (r *running) dial(t *testing.T, caPEM []byte, as *enroll.Identity) *wire {
	t.Helper()
	w, nonce := r.greet(t, caPEM)
	hello := map[string]any{"tls_required": true, "lang": "test", "version": "0", "protocol": 1, "pedantic": false}
	if as != nil {
		signature, err := as.Sign([]byte(nonce))
		if err != nil {
			t.Fatal(err)
		}
		token, err := as.UserJWT()
		if err != nil {
			t.Fatal(err)
		}
		hello["jwt"], hello["sig"] = token, base64.RawURLEncoding.EncodeToString(signature)
	}
	text, err := json.Marshal(hello)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.write("CONNECT " + string(text)); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *wire) write(lines ...string) error {
	_, err := io.WriteString(w.conn, strings.Join(lines, "\r\n")+"\r\n")
	return err
}

// ask sends commands and returns what the broker complains about until it has
// dealt with all of them. The error is the end of the connection.
func (w *wire) ask(commands ...string) (complaints []string, err error) {
	if err := w.write(append(commands, "PING")...); err != nil {
		return nil, err
	}
	for {
		line, err := w.in.ReadString('\n')
		if err != nil {
			return complaints, err
		}
		verb, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		switch verb {
		case "PONG":
			return complaints, nil
		case "-ERR":
			complaints = append(complaints, rest)
		case "PING":
			err = w.write("PONG")
		case "MSG":
			err = w.take(rest)
		case "INFO", "+OK":
		default:
			err = fmt.Errorf("the broker says %q", line)
		}
		if err != nil {
			return complaints, err
		}
	}
}

// take reads a message: SUBJECT SID [REPLY] SIZE, and the payload.
func (w *wire) take(header string) error {
	f := strings.Fields(header)
	if len(f) < 3 {
		return errors.New("a message without a header")
	}
	size, err := strconv.Atoi(f[len(f)-1])
	if err != nil {
		return err
	}
	data := make([]byte, size+2)
	if _, err := io.ReadFull(w.in, data); err != nil {
		return err
	}
	w.got[f[0]] = append(w.got[f[0]], string(data[:size]))
	return nil
}

// refusedAtTheDoor reports whether the broker ends the connection for want of
// a permission, with what was sent right behind the greeting.
func refusedAtTheDoor(complaints []string, err error) bool {
	if err == nil || len(complaints) == 0 {
		return false
	}
	text := strings.ToLower(strings.Join(complaints, " "))
	return strings.Contains(text, "authorization violation") || strings.Contains(text, "authentication")
}
