package enroll

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/base/pki"
)

// DefaultPort is where a server has its HTTPS, unless told otherwise.
const DefaultPort = "8443"

// maxAnswer bounds what the server may answer.
const maxAnswer = 256 << 10

// client speaks the four exchanges with one server.
type client struct {
	base string
	http *http.Client
}

// ServerURL completes the address of a server: "host", "host:port" or a URL.
func ServerURL(s string) (string, error) {
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" {
		return "", errs.New(errs.Invalid, "the server's address %q has to be like https://rind.example.net:8443", truncate(s))
	}
	if u.Scheme != "https" {
		return "", errs.New(errs.Invalid, "the server's address %q: enrollment needs https; write it as https://host:8443", truncate(s))
	}
	port := u.Port()
	if port == "" {
		port = DefaultPort
	}
	return "https://" + net.JoinHostPort(u.Hostname(), port) + strings.TrimRight(u.Path, "/"), nil
}

func newClient(server, pin, caFile string) (*client, error) {
	u, err := url.Parse(server)
	if err != nil {
		return nil, errs.New(errs.Invalid, "the server's address: %w", err)
	}
	tlsConfig, err := pki.ClientTLSFor(u.Hostname(), pin, caFile)
	if err != nil {
		return nil, err
	}
	return &client{base: server + "/api/v1/enroll/", http: &http.Client{
		Timeout:   20 * time.Second,
		Transport: &http.Transport{TLSClientConfig: tlsConfig, Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the server sends elsewhere; enrollment follows no redirect")
		},
	}}, nil
}

func (c *client) close() { c.http.CloseIdleConnections() }

// post runs one exchange.
func (c *client) post(ctx context.Context, exchange string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("writing the request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+exchange, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("writing the request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return c.explain(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return c.explain(err)
	}
	if resp.StatusCode/100 != 2 {
		return c.refusal(resp, data)
	}
	if err := json.Unmarshal(data, out); err != nil {
		return errs.New(errs.Unavailable, "%s did not answer like a Rind server; check the address: %w", c.base, err)
	}
	return nil
}

// refusal turns the server's error back into one of the same kind.
func (c *client) refusal(resp *http.Response, data []byte) error {
	var answer struct {
		Error struct{ Kind, Message string }
	}
	if err := json.Unmarshal(data, &answer); err != nil || answer.Error.Message == "" {
		kind := errs.Unavailable
		if resp.StatusCode == http.StatusTooManyRequests {
			kind = errs.RateLimited
		}
		return errs.New(kind, "%s answered %s; is that the address of a Rind server?", c.base, resp.Status)
	}
	return errs.New(errs.ParseKind(answer.Error.Kind), "the server says: %s", printable(answer.Error.Message))
}

// printable keeps a server's message from garbling the terminal.
func printable(s string) string {
	if len(s) > 1024 {
		s = s[:1024]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\ufffd' {
			return ' '
		}
		return r
	}, s)
}

// explain says what a failed exchange means.
func (c *client) explain(err error) error {
	if known, ok := errors.AsType[*errs.Error](err); ok {
		return known
	}
	var netErr net.Error
	switch text := err.Error(); {
	case errors.Is(err, context.Canceled):
		return err
	case strings.Contains(text, "first record does not look like a TLS handshake"), strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return errs.New(errs.Invalid, "%s does not speak HTTPS; is it the port of the bus? the server's HTTPS is on %s by default: %w", c.base, DefaultPort, err)
	case errors.As(err, &netErr) && netErr.Timeout():
		return errs.New(errs.Unavailable, "%s did not answer in time; check the address and the firewall: %w", c.base, err)
	}
	if better := pki.Explain(err); better != nil && better.Error() != err.Error() {
		return better
	}
	var op *net.OpError
	var dns *net.DNSError
	if errors.As(err, &op) || errors.As(err, &dns) {
		return errs.New(errs.Unavailable, "cannot reach %s; check the address, and that the server runs: %w", c.base, err)
	}
	return fmt.Errorf("asking %s: %w", c.base, err)
}
