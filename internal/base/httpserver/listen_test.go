package httpserver

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/rind-project/rind/internal/base/errs"
)

func TestListenErrors(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	tests := map[string]struct {
		listen string
		kind   errs.Kind
		want   string
	}{
		"in use":       {taken.Addr().String(), errs.Conflict, "cannot listen on " + taken.Addr().String() + ": another program uses this port"},
		"not here":     {"192.0.2.1:8443", errs.Invalid, "this machine does not have this address"},
		"no port":      {"127.0.0.1", errs.Invalid, "no address with a port"},
		"port too big": {"127.0.0.1:99999", errs.Invalid, `correct "http.listen"`},
		"unknown port": {"127.0.0.1:nonsense", errs.Invalid, `correct "http.listen"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := New(Config{Listen: test.listen}, Deps{Handler: text(""), Key: "http.listen"}).Start(t.Context())
			if errs.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), `"http.listen"`) {
				t.Errorf("got %v (%v), want %q", err, errs.KindOf(err), test.want)
			}
		})
	}
}

// What a test cannot provoke as root is given as the kernel says it.
func TestListenErrorText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		addr string
		err  error
		want string
	}{
		{"0.0.0.0:443", syscall.EACCES, `need root or CAP_NET_BIND_SERVICE; grant it, or set "listen"`},
		{"0.0.0.0:8443", syscall.EACCES, "the system does not allow it"},
		{"0.0.0.0:8443", syscall.EPERM, "the system does not allow it"},
		{"0.0.0.0:8443", syscall.EMFILE, `cannot listen on 0.0.0.0:8443 ("listen"): `},
	}
	for _, test := range tests {
		err := ListenError(test.addr, "listen", &net.OpError{Op: "listen", Err: test.err})
		if !strings.Contains(err.Error(), test.want) || !errors.Is(err, test.err) {
			t.Errorf("got %v, want %q", err, test.want)
		}
	}
}
