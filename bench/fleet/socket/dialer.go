// Package socket is a lean connection of a peel to the bus: one goroutine and
// a small buffer each, so that thousands fit into one process. It speaks the
// same protocol as the client library, over the same TLS and with the same
// permissions, and passes the same suite (internal/fleet/peel/peeltest).
package socket

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/peel"
)

// Dialer opens sockets, and counts what passes through all of them.
type Dialer struct {
	In, Out atomic.Int64 // bytes at the TCP socket, TLS included

	lanes []*lane
	next  atomic.Uint32 // whose turn it is among the lanes

	mu    sync.Mutex
	tls   map[tlsKey]*tls.Config
	known map[string][]string // servers that a server named, by their list
}

type tlsKey struct {
	base *tls.Config
	host string
}

// New makes a dialer.
func New() *Dialer {
	d := &Dialer{tls: map[tlsKey]*tls.Config{}, known: map[string][]string{}}
	for range runtime.GOMAXPROCS(0) {
		d.lanes = append(d.lanes, newLane())
	}
	return d
}

// Dial is the peel.Dialer.
func (d *Dialer) Dial(ctx context.Context, cfg bus.ConnConfig, on peel.SocketEvents) (peel.Socket, error) {
	fill(&cfg)
	s := &Socket{d: d, lane: d.lanes[int(d.next.Add(1))%len(d.lanes)], cfg: cfg, on: on, urls: slices.Clone(cfg.URLs), inbox: cfg.InboxPrefix + "."}
	rand.Shuffle(len(s.urls), func(i, j int) { s.urls[i], s.urls[j] = s.urls[j], s.urls[i] })
	for try := 0; ; try++ {
		err := s.connect(s.urls[try%len(s.urls)])
		if err == nil {
			on.Up(s)
			return s, nil
		}
		if cfg.Once {
			return nil, err
		}
		t := time.NewTimer(wait(cfg.ReconnectWait))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, err
		}
	}
}

// fill sets the defaults of bus.Connect.
func fill(cfg *bus.ConnConfig) {
	setDefault(&cfg.MaxReconnects, -1)
	setDefault(&cfg.ReconnectWait, 2*time.Second)
	setDefault(&cfg.MaxPingsOut, 3)
	setDefault(&cfg.DrainTimeout, 30*time.Second)
	setDefault(&cfg.ConnectTimeout, 20*time.Second)
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// wait is as long as the client library is told to wait.
func wait(d time.Duration) time.Duration { return d/2 + rand.N(d+1) }

// tlsFor returns the configuration for a server, one for all sockets.
func (d *Dialer) tlsFor(base *tls.Config, host string) *tls.Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := tlsKey{base, host}
	c := d.tls[key]
	if c == nil {
		c = base.Clone()
		c.MinVersion = tls.VersionTLS13
		if c.ServerName == "" {
			c.ServerName = host
		}
		d.tls[key] = c
	}
	return c
}

// servers returns the addresses that a server named beside its own, one slice
// for all sockets that were told the same.
func (d *Dialer) servers(given []string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := strings.Join(given, ",")
	all, ok := d.known[key]
	if !ok {
		for _, hostPort := range given {
			all = append(all, "tls://"+hostPort)
		}
		d.known[key] = all
	}
	return all
}

// counted counts a connection's bytes.
type counted struct {
	net.Conn
	d *Dialer
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.d.In.Add(int64(n))
	return n, err
}

func (c counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.d.Out.Add(int64(n))
	return n, err
}

// hostPort takes the address out of "tls://host:port".
func hostPort(server string) (host, addr string, err error) {
	u, err := url.Parse(server)
	if err != nil || u.Hostname() == "" || u.Port() == "" {
		return "", "", fmt.Errorf("%q is no address of a bus", server)
	}
	return u.Hostname(), u.Host, nil
}

var _ peel.Dialer = (*Dialer)(nil).Dial
