package tap

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// openerPair is an opener that serves, and the other end of its socket.
func openerPair(t *testing.T, allowed ...string) *remoteOpener {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(pair[0]), "opener")
	conn, err := net.FileConn(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	remote, err := newRemoteOpener(pair[1])
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		serveOpener(conn.(*net.UnixConn), &allowedNames{names: allowed}, slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() {
		remote.conn.Close()
		<-served
		conn.Close()
	})
	return remote
}

func TestOpenerRefuses(t *testing.T) {
	t.Parallel()
	o := openerPair(t, "lo", "none0")
	for name, want := range map[string]string{
		"eth9":                  "not in this tap's configuration",
		"none0":                 "no such interface",
		"":                      "no name of an interface",
		"a/b":                   "no name of an interface",
		strings.Repeat("x", 16): "no name of an interface",
	} {
		if fd, err := o.Open(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: descriptor %d, error %v; want %q", name, fd, err, want)
		}
	}
}

func TestOpenerHandsOver(t *testing.T) {
	t.Parallel()
	if !canOpen() {
		t.Skip("skipped: packet sockets need CAP_NET_RAW")
	}
	o := openerPair(t, "lo")
	for range 3 {
		fd, err := o.Open("lo")
		if err != nil {
			t.Fatal(err)
		}
		domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err != nil || domain != unix.AF_PACKET {
			t.Errorf("the descriptor is of domain %d (%v), want AF_PACKET", domain, err)
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("the socket would be inherited: flags %#x (%v)", flags, err)
		}
		unix.Close(fd)
	}
}

func TestOpenerIsGone(t *testing.T) {
	t.Parallel()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(pair[0])
	o, err := newRemoteOpener(pair[1])
	if err != nil {
		t.Fatal(err)
	}
	defer o.conn.Close()
	if _, err := o.Open("lo"); err == nil || !strings.Contains(err.Error(), "the opener is gone") {
		t.Errorf("without an opener: %v", err)
	}
}

func TestParseIsNotForPeople(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	fd, err := unix.Dup(int(r.Fd()))
	r.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newRemoteOpener(fd); err == nil || !strings.Contains(err.Error(), "rind-tap run") {
		t.Errorf("a pipe for an opener: %v", err)
	}
}

func TestUnprivileged(t *testing.T) {
	t.Parallel()
	if _, _, err := unprivileged("root"); err == nil || !strings.Contains(err.Error(), "unprivileged user only") {
		t.Errorf("root: %v", err)
	}
	if _, _, err := unprivileged("no-such-user-here"); err == nil || !strings.Contains(err.Error(), "useradd") {
		t.Errorf("a user that does not exist: %v", err)
	}
	if uid, _, err := unprivileged(""); err != nil || uid == 0 {
		t.Errorf("the default user is %d (%v)", uid, err)
	}
}

// A binary that was built in another way than ours says so, and what to do.
func TestBuiltWithCgo(t *testing.T) {
	t.Parallel()
	if err := allThreads(unix.ENOTSUP); !strings.Contains(err.Error(), "CGO_ENABLED=0") {
		t.Errorf("got %v", err)
	}
	if err := allThreads(unix.EPERM); !errors.Is(err, unix.EPERM) {
		t.Errorf("got %v", err)
	}
}
