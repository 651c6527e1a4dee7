package tap

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/capture"
)

// The opener and the parsing process speak over a pair of SEQPACKET sockets.
// A request is the name of an interface; its answer is "ok" with the socket as
// ancillary data (SCM_RIGHTS, unix(7)), or the text of an error.
const (
	maxInterfaceName = unix.IFNAMSIZ
	maxOpenerAnswer  = 1024
	openerFD         = 3 // the parsing process's end
	configFD         = 4 // where it reads configurations (see pushed)
)

// serveOpener opens packet sockets for the allowed interfaces, and no others,
// until the other end is gone.
func serveOpener(conn *net.UnixConn, allowed *allowedNames, log *slog.Logger) {
	buf := make([]byte, maxInterfaceName+1)
	for {
		n, err := conn.Read(buf)
		if err != nil || n == 0 {
			return
		}
		if err := answerOpen(conn, string(buf[:n]), allowed); err != nil {
			log.Warn("opening an interface", "error", err)
		}
	}
}

func answerOpen(conn *net.UnixConn, iface string, allowed *allowedNames) error {
	if !allowed.has(iface) {
		err := errs.New(errs.Forbidden, "interface %q is not in this tap's configuration", iface)
		return errors.Join(err, sendText(conn, err))
	}
	fd, err := capture.OpenSocket(iface)
	if err != nil {
		return errors.Join(err, sendText(conn, err))
	}
	defer unix.Close(fd)
	if _, _, err := conn.WriteMsgUnix([]byte("ok"), unix.UnixRights(fd), nil); err != nil {
		return fmt.Errorf("handing over the socket of %s: %w", iface, err)
	}
	return nil
}

func sendText(conn *net.UnixConn, err error) error {
	msg := err.Error()
	_, werr := conn.Write([]byte(msg[:min(len(msg), maxOpenerAnswer)]))
	return werr
}

// remoteOpener asks the opener. It is a tap.Opener.
type remoteOpener struct {
	mu   sync.Mutex
	conn *net.UnixConn
}

// newRemoteOpener takes over the descriptor that the process was started with.
func newRemoteOpener(fd int) (*remoteOpener, error) {
	file := os.NewFile(uintptr(fd), "opener")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("this command is started by `rind-tap run`, not by hand: %w", err)
	}
	u, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, errors.New("this command is started by `rind-tap run`, not by hand")
	}
	return &remoteOpener{conn: u}, nil
}

// Open asks for a packet socket that is bound to the interface.
func (o *remoteOpener) Open(iface string) (int, error) {
	if iface == "" || len(iface) >= maxInterfaceName || strings.ContainsAny(iface, "/\x00") {
		return -1, errs.New(errs.Invalid, "%q is no name of an interface", iface)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, err := o.conn.Write([]byte(iface)); err != nil {
		return -1, fmt.Errorf("the opener is gone: %w", err)
	}
	text := make([]byte, maxOpenerAnswer)
	oob := make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := o.conn.ReadMsgUnix(text, oob)
	if err != nil {
		return -1, fmt.Errorf("the opener is gone: %w", err)
	}
	if oobn == 0 {
		return -1, errors.New(string(text[:n]))
	}
	return receivedFD(oob[:oobn])
}

func receivedFD(oob []byte) (int, error) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return -1, err
	}
	for _, m := range msgs {
		if fds, err := unix.ParseUnixRights(&m); err == nil && len(fds) == 1 {
			unix.CloseOnExec(fds[0])
			return fds[0], nil
		}
	}
	return -1, errors.New("the opener's answer holds no socket")
}
