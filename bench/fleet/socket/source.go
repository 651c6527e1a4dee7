package socket

import (
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// dialerFor returns how to dial an address. One host offers some 28,000 ports
// to connect from, and Linux looks for a free one among half of them first:
// behind 14,000 connections to one server that search takes more than the
// handshake. A fleet has as many addresses as hosts; so towards a server on
// this machine each process comes from an address of its own, and a port is
// chosen not before the server is known (ip(7), IP_BIND_ADDRESS_NO_PORT).
func (s *Socket) dialerFor(addr string) *net.Dialer {
	d := &net.Dialer{Timeout: s.cfg.ConnectTimeout}
	host, _, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err != nil || ip.To4() == nil || !ip.IsLoopback() {
		return d
	}
	pid := os.Getpid()
	d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 1+byte(pid>>16)%254, byte(pid>>8), byte(pid))}
	d.Control = func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		})
		if err != nil {
			return err
		}
		return failed
	}
	return d
}
