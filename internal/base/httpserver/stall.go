package httpserver

import (
	"net"
	"sync/atomic"
	"time"
)

// stallListener wraps every connection in a stallConn.
type stallListener struct {
	net.Listener
	limit time.Duration
}

// Accept implements net.Listener.
func (l stallListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &stallConn{Conn: c, limit: l.limit}, nil
}

// stallConn gives each single write a deadline. http.Server.WriteTimeout would
// bound the whole answer, and with it every stream of events; this bounds only
// how long a client may refuse to take the next bytes.
type stallConn struct {
	net.Conn
	limit time.Duration
	own   atomic.Bool // a deadline that the user of the connection set is in force
}

// Write implements net.Conn.
func (c *stallConn) Write(p []byte) (int, error) {
	if !c.own.Load() {
		if err := c.Conn.SetWriteDeadline(time.Now().Add(c.limit)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(p)
}

// SetWriteDeadline implements net.Conn. The zero time brings the limit back.
func (c *stallConn) SetWriteDeadline(t time.Time) error {
	c.own.Store(!t.IsZero())
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline implements net.Conn.
func (c *stallConn) SetDeadline(t time.Time) error {
	c.own.Store(!t.IsZero())
	return c.Conn.SetDeadline(t)
}
