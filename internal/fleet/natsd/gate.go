package natsd

import (
	"crypto/tls"
	"errors"
	"net"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of the gate.
const (
	// gateWait is the longest that a client is kept waiting at the gate. It is
	// longer than a peel waits for a connection, and shorter than the server does.
	gateWait = 25 * time.Second
	// gateTime bounds one handshake inside, of a client that says no more.
	gateTime = 3 * time.Second
	// gatePerCPU is how many handshakes are made at the same time for each
	// processor: enough to hide the way to the client and back.
	gatePerCPU = 16
)

// gate stands before the handshakes. When a server is started again under a
// large fleet, all of it stands at the door at once. Handshakes that are all
// begun are all done at the same late moment, when every client has given up
// and tries anew; so a few are made at a time, in the order in which they came,
// and none for a client that has hung up meanwhile. Until the gate is opened
// all wait, so that the server's own start has the processors to itself.
type gate struct {
	once sync.Once
	open chan struct{}
	slot chan struct{}

	ending sync.Once
	ended  chan struct{} // the server stops: nobody waits any more
}

func newGate() *gate {
	return &gate{open: make(chan struct{}), ended: make(chan struct{}), slot: make(chan struct{}, gatePerCPU*runtime.GOMAXPROCS(0))}
}

// end sends those away who wait. A server that stops would wait for them.
func (g *gate) end() { g.ending.Do(func() { close(g.ended) }) }

func (g *gate) let() { g.once.Do(func() { close(g.open) }) }

// Reasons for which a handshake is not made.
var (
	errGate   = errors.New("the server has more clients at its door than it can take; this one waited in vain")
	errEnding = errors.New("the server stops")
	errHungUp = errors.New("the client has hung up while it waited")
)

// guard puts the gate before a server's handshakes.
func (g *gate) guard(cfg *tls.Config) *tls.Config {
	inner := cfg
	cfg = cfg.Clone()
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		mine := inner
		if inner.GetConfigForClient != nil {
			own, err := inner.GetConfigForClient(hello)
			if err != nil {
				return nil, err
			}
			if own != nil {
				mine = own
			}
		}
		done, err := g.enter(hello.Conn)
		if err != nil {
			return nil, err
		}
		mine = mine.Clone()
		mine.GetConfigForClient = nil
		mine.SessionTicketsDisabled = true // each client has a configuration of its own
		verify := mine.VerifyConnection
		// It is called when what costs time is done.
		mine.VerifyConnection = func(s tls.ConnectionState) error {
			done()
			if verify == nil {
				return nil
			}
			return verify(s)
		}
		return mine, nil
	}
	return cfg
}

// enter waits for a place. The place is given back by the function that it
// returns, and in any case after some seconds.
func (g *gate) enter(conn net.Conn) (done func(), err error) {
	t := time.NewTimer(gateWait)
	defer t.Stop()
	select {
	case <-g.open:
	case <-g.ended:
		return nil, errEnding
	case <-t.C:
		return nil, errGate
	}
	select {
	case g.slot <- struct{}{}:
	case <-g.ended:
		return nil, errEnding
	case <-t.C:
		return nil, errGate
	}
	if hungUp(conn) {
		<-g.slot
		return nil, errHungUp
	}
	var once sync.Once
	leave := func() { once.Do(func() { <-g.slot }) }
	late := time.AfterFunc(gateTime, leave)
	return func() { late.Stop(); leave() }, nil
}

// hungUp reports whether the other side has closed the connection.
func hungUp(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		gone = n == 0 && err == nil || err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	return gone || err != nil
}

// Open lets clients in that Deps.Hold has kept waiting. It does nothing when
// they were let in already.
func (s *Server) Open() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gate != nil {
		s.gate.let()
	}
}
