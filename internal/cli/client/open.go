package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/rind-project/rind/internal/base/pki"
)

// ErrNoServer says that nothing answers where a server was looked for.
var ErrNoServer = errors.New("no server here: start one with `rind up`, or log in to one with `rind login https://HOST:8443 --token-stdin`")

// ErrUnknownCA says that a server's certificate is signed by nobody known.
var ErrUnknownCA = errors.New("the server's certificate is signed by a CA that this machine does not know: " +
	"take the server's pin (`" + pki.ShowPin + "` on the server shows it) and log in again with --pin sha256:…")

const (
	dialTimeout   = 10 * time.Second
	answerTimeout = 60 * time.Second
)

// Target says which server to ask, and as whom.
type Target struct {
	Sockets []string    // paths that are tried in order, when URL is empty
	URL     string      // "https://host:8443"
	Token   string      // with URL
	TLS     *tls.Config // with URL; nil trusts the system's CAs
	Others  []Target    // further servers of the same fleet, with URLs
}

// Open makes a client. With sockets it takes the first that answers.
func Open(ctx context.Context, t Target) (*Client, error) {
	if t.URL == "" {
		return openSocket(ctx, t.Sockets)
	}
	c := t.open()
	for _, o := range t.Others {
		c.others = append(c.others, o.open())
	}
	return c, nil
}

func (t Target) open() *Client {
	return &Client{base: t.URL, where: t.URL, token: t.Token, http: &http.Client{
		Transport:     transport(&net.Dialer{Timeout: dialTimeout}, t.TLS),
		CheckRedirect: noRedirect,
	}}
}

// openSocket takes the first socket on which somebody listens: the file of a
// server that was killed may still be there.
func openSocket(ctx context.Context, paths []string) (*Client, error) {
	dialer := &net.Dialer{Timeout: dialTimeout}
	var denied error
	for _, path := range paths {
		conn, err := dialer.DialContext(ctx, "unix", path)
		if err == nil {
			_ = conn.Close() // it only showed that somebody listens
			return unix(dialer, path), nil
		}
		if errors.Is(err, fs.ErrPermission) && denied == nil {
			denied = fmt.Errorf("the server's socket %s may not be used by this user: ask as root, let this user's group in by the server's key socket_group, or log in with `rind login`", path)
		}
	}
	if denied != nil {
		return nil, denied
	}
	if len(paths) == 1 { // the one that was asked for
		return nil, fmt.Errorf("%s: %w", paths[0], ErrNoServer)
	}
	return nil, ErrNoServer
}

func unix(dialer *net.Dialer, path string) *Client {
	tr := transport(dialer, nil)
	tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", path)
	}
	return &Client{base: "http://rind", where: path, http: &http.Client{Transport: tr, CheckRedirect: noRedirect}}
}

func transport(dialer *net.Dialer, cfg *tls.Config) *http.Transport {
	return &http.Transport{
		DialContext:           dialer.DialContext,
		Proxy:                 http.ProxyFromEnvironment,
		TLSClientConfig:       cfg,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: answerTimeout,
		ForceAttemptHTTP2:     true,
	}
}

// noRedirect keeps the token from following a redirect to another host.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// explain words what went wrong below HTTP.
func (c *Client) explain(err error) error {
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s may not be used by this user: ask as root, let this user's group in by the server's key socket_group, or log in with `rind login`", c.where)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: nothing answers: %w", c.where, ErrNoServer)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%s does not speak TLS there; check the port: the API's is 8443 unless it was configured otherwise", c.where)
	case unknown:
		return fmt.Errorf("%s: %w", c.where, ErrUnknownCA)
	}
	if told := pki.Explain(err); !errors.Is(told, err) || told.Error() != err.Error() {
		return fmt.Errorf("%s: %w", c.where, told)
	}
	return fmt.Errorf("asking %s: %w", c.where, err)
}
