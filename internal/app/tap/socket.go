package tap

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/network/tap"
)

// socketName is where a running tap answers `rind-tap status`, in its data
// folder. Only the tap's user and root reach it.
const socketName = "tap.sock"

// Status is what `rind-tap status` shows.
type Status struct {
	tap.Status
	Walls  Walls        `json:"walls"`
	Config ConfigStatus `json:"config"`
}

// Walls say how the parsing process is held, as the kernel tells it.
type Walls struct {
	Opener       bool   `json:"opener"`       // another process opens the sockets
	UID          int    `json:"uid"`          //
	Capabilities string `json:"capabilities"` // effective, in hexadecimal (proc(5), CapEff)
	NoNewPrivs   bool   `json:"no_new_privileges"`
	Seccomp      bool   `json:"seccomp"` // system calls are filtered
}

// statusServer answers on the socket. It is a component.
type statusServer struct {
	dir    string
	status func() Status
	server *http.Server
	died   chan error
}

func newStatusServer(dir string, status func() Status) *statusServer {
	s := &statusServer{dir: dir, status: status, died: make(chan error, 1)}
	s.server = &http.Server{ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, IdleTimeout: time.Second, MaxHeaderBytes: 4096,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/status" {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(s.status()) // whoever asked is gone
		})}
	return s
}

// Start begins to answer. The spool's lock has made sure that this is the only
// tap here, so that a socket that lies there is left over from a crash.
func (s *statusServer) Start(context.Context) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("making the data folder: %w; choose another with --data", err)
	}
	path, done, err := socketPath(s.dir)
	if err != nil {
		return err
	}
	defer done()
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("removing the status socket of an earlier tap: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return fmt.Errorf("making the status socket in the data folder: %w", err)
	}
	l.SetUnlinkOnClose(false) // the path ends with done
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return fmt.Errorf("closing the status socket to others: %w", err)
	}
	go func() {
		if err := s.server.Serve(l); err != http.ErrServerClosed {
			s.died <- err
		}
	}()
	return nil
}

// Stop ends it.
func (s *statusServer) Stop(ctx context.Context) error {
	err := s.server.Shutdown(ctx)
	_ = os.Remove(filepath.Join(s.dir, socketName)) // the next start does it otherwise
	return err
}

// Died yields an error when it cannot go on.
func (s *statusServer) Died() <-chan error { return s.died }

// socketPath names the socket through the descriptor of its folder, since the
// path of a socket has at most 107 bytes (unix(7)).
func socketPath(dir string) (path string, done func(), err error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("opening the data folder %s: %w", dir, err)
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", fd, socketName), func() { _ = unix.Close(fd) }, nil
}

// walls asks the kernel how this process is held.
func walls(opener bool) Walls {
	w := Walls{Opener: opener, UID: os.Getuid()}
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return w
	}
	w.read(string(text))
	return w
}
