package socket

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// info is what a server says of itself first.
type info struct {
	TLSRequired bool     `json:"tls_required"`
	Nonce       string   `json:"nonce"`
	ConnectURLs []string `json:"connect_urls"`
}

// hello is what a client says first.
type hello struct {
	Verbose      bool   `json:"verbose"`
	Pedantic     bool   `json:"pedantic"`
	TLSRequired  bool   `json:"tls_required"`
	Name         string `json:"name"`
	Lang         string `json:"lang"`
	Version      string `json:"version"`
	Protocol     int    `json:"protocol"`
	Echo         bool   `json:"echo"`
	Headers      bool   `json:"headers"`
	NoResponders bool   `json:"no_responders"`
	JWT          string `json:"jwt,omitempty"`
	Sig          string `json:"sig,omitempty"`
}

// connect makes one attempt at one server, and begins to read.
func (s *Socket) connect(server string) error {
	host, addr, err := hostPort(server)
	if err != nil {
		return err
	}
	conn, err := s.dialerFor(addr).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return fmt.Errorf("connecting to the bus at %s: %w", addr, err)
	}
	if err := conn.SetDeadline(time.Now().Add(s.cfg.ConnectTimeout)); err != nil {
		conn.Close()
		return err
	}
	l, err := s.greet(conn, host)
	if err != nil {
		conn.Close()
		s.refused(err)
		return fmt.Errorf("connecting to the bus at %s: %w", addr, err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		conn.Close()
		return err
	}
	s.front(server)
	return s.adopt(l)
}

// refused tells the peel when the bus did not take its permission.
func (s *Socket) refused(err error) {
	if s.cfg.OnRefused != nil && (errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) || errors.Is(err, nats.ErrAuthRevoked)) {
		s.cfg.OnRefused(err)
	}
}

// greet speaks the beginning: INFO, TLS, CONNECT, PING, PONG.
func (s *Socket) greet(conn net.Conn, host string) (*line, error) {
	raw := counted{conn, s.d}
	plain := &line{conn: raw}
	first, err := plain.readInfo()
	if err != nil {
		return nil, err
	}
	if !first.TLSRequired || s.cfg.TLS == nil {
		return nil, nats.ErrSecureConnWanted
	}
	secure := tls.Client(raw, s.d.tlsFor(s.cfg.TLS, host))
	if err := secure.HandshakeContext(context.Background()); err != nil {
		return nil, err
	}
	h := hello{TLSRequired: true, Name: s.cfg.Name, Lang: "go", Version: nats.Version, Protocol: 1, Echo: true, Headers: true, NoResponders: true}
	if s.cfg.JWT != nil {
		if h.JWT, err = s.cfg.JWT(); err != nil {
			return nil, err
		}
		sig, err := s.cfg.Sign([]byte(first.Nonce))
		if err != nil {
			return nil, err
		}
		h.Sig = base64.RawURLEncoding.EncodeToString(sig)
	}
	say, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	if _, err := secure.Write([]byte("CONNECT " + string(say) + "\r\nPING\r\n")); err != nil {
		return nil, err
	}
	l := &line{conn: secure}
	if err := l.awaitPong(); err != nil {
		return nil, err
	}
	if len(first.ConnectURLs) > 0 {
		s.learn(s.d.servers(first.ConnectURLs))
	}
	return l, nil
}

func (l *line) readInfo() (info, error) {
	var in info
	text, err := l.readLine()
	if err != nil {
		return in, err
	}
	rest, found := strings.CutPrefix(text, "INFO ")
	if !found {
		return in, fmt.Errorf("nothing there speaks NATS")
	}
	return in, json.Unmarshal([]byte(rest), &in)
}

func (l *line) awaitPong() error {
	for {
		text, err := l.readLine()
		switch {
		case err != nil:
			return err
		case text == "PONG":
			return nil
		case strings.HasPrefix(text, "-ERR"):
			return serverError(text)
		}
	}
}

// serverError maps what a server says to the client library's errors.
func serverError(text string) error {
	low := strings.ToLower(text)
	for part, err := range map[string]error{
		"authorization violation": nats.ErrAuthorization, "authentication expired": nats.ErrAuthExpired,
		"authentication revoked": nats.ErrAuthRevoked, "stale connection": nats.ErrStaleConnection,
		"permissions violation": nats.ErrPermissionViolation,
	} {
		if strings.Contains(low, part) {
			return fmt.Errorf("%w: %s", err, text)
		}
	}
	return errors.New(text)
}
