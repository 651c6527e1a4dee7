package httpserver

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// What the PROXY protocol allows, and what is taken of it: version 1 is one
// line of at most 107 bytes; version 2 has a length of 16 bits, of which
// addresses and the usual extensions need a few hundred bytes.
// (https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt)
const (
	maxProxyLine = 107
	maxProxyBody = 4 << 10
)

// proxySignature begins a header of version 2.
const proxySignature = "\r\n\r\n\x00\r\nQUIT\n"

// proxyListener takes connections from proxies that say in a header for whom
// they speak. From every other address the bytes are those of the client
// itself: a header there is no HTTP and no TLS, and is refused as such.
type proxyListener struct {
	net.Listener
	proxies []netip.Prefix
	limit   time.Duration
	refused func()
}

// Accept implements net.Listener. It waits for no byte of the connection.
func (l proxyListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	peer := addrOf(c.RemoteAddr())
	if !slices.ContainsFunc(l.proxies, func(p netip.Prefix) bool { return p.Contains(peer) }) {
		return c, nil
	}
	return &proxyConn{Conn: c, limit: l.limit, refused: l.refused}, nil
}

// addrOf is the address of one end, unmapped and without a zone.
func addrOf(a net.Addr) netip.Addr {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return t.AddrPort().Addr().Unmap().WithZone("")
}

// proxyConn reads the header before the first byte of the client, in the
// goroutine that serves the connection.
type proxyConn struct {
	net.Conn
	limit   time.Duration
	refused func()

	once   sync.Once
	in     *bufio.Reader
	remote net.Addr
	err    error
}

// RemoteAddr implements net.Conn: the address for which the proxy speaks.
func (c *proxyConn) RemoteAddr() net.Addr {
	c.once.Do(c.header)
	if c.remote == nil {
		return c.Conn.RemoteAddr()
	}
	return c.remote
}

// Read implements net.Conn.
func (c *proxyConn) Read(p []byte) (int, error) {
	c.once.Do(c.header)
	if c.err != nil {
		return 0, c.err
	}
	if c.in.Buffered() == 0 {
		return c.Conn.Read(p)
	}
	return c.in.Read(p)
}

// header reads the header within the time for one. A connection without a good
// one is closed.
func (c *proxyConn) header() {
	c.in = bufio.NewReaderSize(c.Conn, 512)
	_ = c.Conn.SetReadDeadline(time.Now().Add(c.limit)) // when it fails, so does the read
	remote, err := readProxyHeader(c.in)
	if err == nil {
		err = c.Conn.SetReadDeadline(time.Time{})
	}
	if err != nil {
		c.err = fmt.Errorf("PROXY protocol header of %s: %w", c.Conn.RemoteAddr(), err)
		_ = c.Conn.Close()
		if c.refused != nil {
			c.refused()
		}
		return
	}
	if remote.IsValid() {
		c.remote = net.TCPAddrFromAddrPort(remote)
	}
}

var errNoProxyHeader = errors.New("there is none; have the proxy send one (send-proxy-v2 in HAProxy, proxy_protocol in nginx), or set https.proxy_protocol to false")

// readProxyHeader reads a header of version 1 or 2. The address is not valid
// when the proxy speaks for itself.
func readProxyHeader(in *bufio.Reader) (netip.AddrPort, error) {
	begin, err := in.Peek(len(proxySignature))
	switch {
	case bytes.HasPrefix(begin, []byte("PROXY ")):
		return readProxyLine(in)
	case string(begin) == proxySignature:
		return readProxyBinary(in)
	case err != nil && !errors.Is(err, io.EOF):
		return netip.AddrPort{}, err
	}
	return netip.AddrPort{}, errNoProxyHeader
}

// readProxyLine reads version 1: "PROXY TCP4 192.0.2.1 192.0.2.9 56324 443\r\n".
func readProxyLine(in *bufio.Reader) (netip.AddrPort, error) {
	var line []byte
	for !bytes.HasSuffix(line, []byte("\r\n")) {
		if len(line) == maxProxyLine {
			return netip.AddrPort{}, fmt.Errorf("the line has more than %d bytes", maxProxyLine)
		}
		b, err := in.ReadByte()
		if err != nil {
			return netip.AddrPort{}, err
		}
		line = append(line, b)
	}
	words := strings.Split(strings.TrimSuffix(string(line), "\r\n"), " ")
	if words[1] == "UNKNOWN" {
		return netip.AddrPort{}, nil
	}
	if len(words) != 6 || words[1] != "TCP4" && words[1] != "TCP6" {
		return netip.AddrPort{}, fmt.Errorf("%q is no line of version 1", line)
	}
	from, err := netip.ParseAddrPort(net.JoinHostPort(words[2], words[4]))
	if err != nil || from.Addr().Zone() != "" || from.Addr().Is4() != (words[1] == "TCP4") {
		return netip.AddrPort{}, fmt.Errorf("%q has no source of its kind", line)
	}
	return from, nil
}

// Lengths of the addresses in version 2, by family: two addresses, two ports.
const (
	proxyInet  = 2*4 + 4
	proxyInet6 = 2*16 + 4
)

// readProxyBinary reads version 2, and passes over what follows the addresses.
func readProxyBinary(in *bufio.Reader) (netip.AddrPort, error) {
	var head [16]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return netip.AddrPort{}, err
	}
	size := int(binary.BigEndian.Uint16(head[14:]))
	if size > maxProxyBody {
		return netip.AddrPort{}, fmt.Errorf("it has %d bytes, at most %d are taken", size, maxProxyBody)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(in, body); err != nil {
		return netip.AddrPort{}, err
	}
	switch version, command := head[12]>>4, head[12]&0x0f; {
	case version != 2 || command > 1:
		return netip.AddrPort{}, fmt.Errorf("version %d and command %d are not known", version, command)
	case command == 0: // LOCAL: the proxy's own health check
		return netip.AddrPort{}, nil
	}
	switch family := head[13]; {
	case family == 0x11 && size >= proxyInet:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(body[:4])), binary.BigEndian.Uint16(body[8:])), nil
	case family == 0x21 && size >= proxyInet6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(body[:16])).Unmap(), binary.BigEndian.Uint16(body[32:])), nil
	case family == 0x11 || family == 0x21:
		return netip.AddrPort{}, fmt.Errorf("%d bytes are too few for its addresses", size)
	}
	return netip.AddrPort{}, nil // UNSPEC and others: as the connection has it
}
