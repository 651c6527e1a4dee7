package capture

import (
	"errors"
	"time"
)

// LiveConfig says how an interface is captured. Zero values stand for the
// defaults.
type LiveConfig struct {
	RingBytes   int64 // 64 MiB; at least 8 MiB
	Snaplen     int   // bytes kept of each frame; 0 is all
	Promiscuous bool
}

// Live captures one interface through a TPACKET_V3 ring.
type Live struct{}

var _ Source = (*Live)(nil)

var errSoon = errors.New("capture: not yet")

// OpenSocket opens a packet socket bound to the interface. It is the only step
// that needs CAP_NET_RAW, so that a privileged opener can do it and hand the
// descriptor over. The socket receives nothing until FromFD.
func OpenSocket(iface string) (fd int, err error) { return -1, errSoon }

// FromFD makes the ring on a socket from OpenSocket and begins to capture. It
// owns fd from then on, also when it fails.
func FromFD(fd int, cfg LiveConfig) (*Live, error) { return nil, errSoon }

// OpenLive is OpenSocket and FromFD in one process.
func OpenLive(iface string, cfg LiveConfig) (*Live, error) { return nil, errSoon }

// Name returns the interface's name.
func (l *Live) Name() string { return "" }

// Read implements Source.
func (l *Live) Read(h Handler, wait time.Duration) (int, error) { return 0, errSoon }

// Stats implements Source.
func (l *Live) Stats() (Stats, error) { return Stats{}, errSoon }

// Close implements Source.
func (l *Live) Close() error { return nil }
