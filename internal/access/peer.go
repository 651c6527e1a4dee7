package access

import (
	"context"
	"errors"
	"net"
)

type peerKey struct{}

// peer is who is at the other end of a unix socket.
type peer struct {
	uid int
	err error
}

// UnixPeer is the ConnContext of an http.Server on the unix socket: it
// remembers who connected. On other connections it does nothing. Who cannot be
// told is nobody.
func UnixPeer(ctx context.Context, c net.Conn) context.Context {
	if c.LocalAddr().Network() != "unix" {
		return ctx
	}
	p := peer{err: errors.New("the connection hides its socket")}
	if u, ok := c.(*net.UnixConn); ok {
		p.uid, p.err = peerUID(u)
	}
	return context.WithValue(ctx, peerKey{}, p)
}
