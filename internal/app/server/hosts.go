package server

import (
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/rind-project/rind/internal/fleet/natsd"
)

// certificateHosts lists every name and address by which this server may be
// reached: its host name, its addresses, and what the configuration adds.
func certificateHosts(cfg Config) []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, strings.ToLower(name))
	}
	if addrs, err := net.InterfaceAddrs(); err == nil {
		for _, a := range addrs {
			if p, ok := a.(*net.IPNet); ok && !p.IP.IsLinkLocalUnicast() {
				hosts = append(hosts, p.IP.String())
			}
		}
	}
	if u, err := url.Parse(cfg.PublicURL); err == nil && u.Hostname() != "" {
		hosts = append(hosts, u.Hostname())
	}
	hosts = append(hosts, cfg.Names...)
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// publicURL says how whoever made the request reaches this server.
func publicURL(cfg Config, addr func() string) func(*http.Request) string {
	return func(r *http.Request) string {
		if cfg.PublicURL != "" {
			return strings.TrimSuffix(cfg.PublicURL, "/")
		}
		if r != nil && r.TLS != nil && r.Host != "" {
			return "https://" + r.Host
		}
		return localURL(addr())
	}
}

// localURL is the address of a listener as a URL that works from this machine
// and, where there is one, by a name that works from others.
func localURL(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
		if out := outwardAddress(); out != "" {
			host = out
		}
	}
	return "https://" + net.JoinHostPort(host, port)
}

// outwardAddress is the first address of this machine that others can reach.
func outwardAddress() string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	for _, a := range addrs {
		if p, ok := a.(*net.IPNet); ok && p.IP.IsGlobalUnicast() && p.IP.To4() != nil {
			return p.IP.String()
		}
	}
	return ""
}

// busURLs says under which addresses a peel that reached the HTTPS server as
// host reaches the bus: first this server's, then those of the others in its
// cluster, of which the bus tells it more when they come.
func busURLs(cfg natsd.Config, daemon *natsd.Server) func(string) []string {
	return func(host string) []string {
		first := cfg.Advertise
		if first == "" {
			first = ownBus(host, daemon.Addr())
		}
		if first == "" {
			return nil
		}
		urls := []string{"tls://" + first}
		if !cfg.Clustered() {
			return urls
		}
		for _, addr := range daemon.ClientURLs() {
			if u := "tls://" + addr; len(urls) < maxBusURLs && !slices.Contains(urls, u) {
				urls = append(urls, u)
			}
		}
		return urls
	}
}

// maxBusURLs is how many addresses a peel takes.
const maxBusURLs = 64

// ownBus is this server's bus as seen by a peel that reached it as host.
func ownBus(host, addr string) string {
	bind, port, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if ip := net.ParseIP(bind); ip != nil && !ip.IsUnspecified() && !ip.IsLoopback() {
		host = bind
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}
