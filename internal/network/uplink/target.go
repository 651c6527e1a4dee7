package uplink

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
)

// target is a node, or a load balancer. Each has a client of its own, since a
// pinned certificate is checked against the very host that is dialled.
type target struct {
	url    string
	client *http.Client
	eager  bool // a proxy on the way knows no Expect; of the loop
}

func newTarget(text string, cfg SenderConfig, deps SenderDeps) (target, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return target{}, errs.New(errs.Invalid, "node.urls: %q is no address of a node: write https://host:port", text)
	}
	transport, err := newTransport(u.Hostname(), cfg, deps)
	if err != nil {
		return target{}, err
	}
	return target{url: strings.TrimSuffix(u.String(), "/") + "/api/v1/reports", client: &http.Client{
		Transport: transport, Timeout: cfg.Timeout,
		// A redirect would send the token somewhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func newTransport(host string, cfg SenderConfig, deps SenderDeps) (http.RoundTripper, error) {
	if deps.Transport != nil {
		return deps.Transport, nil
	}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 90 * time.Second, MaxIdleConns: 4,
		ResponseHeaderTimeout: cfg.Timeout, MaxResponseHeaderBytes: 64 << 10,
		ExpectContinueTimeout: 2 * time.Second, // then the body goes all the same
	}
	if deps.TLS != nil {
		conf, err := deps.TLS(host)
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig = conf
	}
	if cfg.Proxy != "" {
		u, err := url.Parse(cfg.Proxy)
		if err != nil || u.Host == "" {
			return nil, errs.New(errs.Invalid, "node.proxy: %q is no address of a proxy: write http://host:port", cfg.Proxy)
		}
		t.Proxy = http.ProxyURL(u)
	}
	return t, nil
}

func newTargets(cfg SenderConfig, deps SenderDeps) (all []target, err error) {
	for _, text := range cfg.URLs {
		t, err := newTarget(text, cfg, deps)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// Turn has reports go somewhere else from the next delivery on: the addresses,
// the proxy and what is trusted are those given now. Without an address nothing
// is sent until there is one again. After an error nothing has changed.
func (s *Sender) Turn(cfg SenderConfig, trust TLS) error {
	own := s.cfg
	own.URLs, own.Proxy = cfg.URLs, cfg.Proxy
	deps := s.deps
	deps.TLS = trust
	next, err := newTargets(own, deps)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.next = append([]target{}, next...)
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return nil
}

// take puts other targets into use, when there are some. It belongs to the
// loop.
func (s *Sender) take() {
	s.mu.Lock()
	next := s.next
	s.next = nil
	s.mu.Unlock()
	if next == nil {
		return
	}
	for _, t := range s.targets {
		t.client.CloseIdleConnections()
	}
	s.targets, s.turn = next, 0
}
