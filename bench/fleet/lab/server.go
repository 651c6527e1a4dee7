// Package lab starts what a bench of the fleet needs and measures with: the
// real server binaries, processes of simulated peels, the API as an operator
// sees it, and a connection of its own to the bus.
package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rind-project/rind/bench/fleet/sim"
	"github.com/rind-project/rind/internal/base/pki"
)

// Server is one process of `rind server`.
type Server struct {
	Name   string
	Dir    string // its data folder
	HTTPS  string // address
	Bus    string // address
	Socket string

	Sharing
	bin    string
	config string
	cmd    *exec.Cmd
	ended  chan error
	log    *os.File
}

// NewServer writes the configuration of a server in a folder of its own. More
// is added to the file as it is.
func NewServer(bin, dir, name string, roles []string, more string) (*Server, error) {
	s := &Server{Name: name, Dir: filepath.Join(dir, name), bin: bin}
	s.config, s.Socket = s.Dir+".yaml", filepath.Join(s.Dir, "rind.sock")
	ports, err := FreePorts(2)
	if err != nil {
		return nil, err
	}
	s.HTTPS, s.Bus = ports[0], ports[1]
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, err
	}
	text := fmt.Sprintf(`data_dir: %s
roles: [%s]
listen: %s
log:
  level: info
enroll: # one address enrolls them all
  begin_rate: 1000000
  begin_burst: 1000000
  ask_rate: 1000000
  ask_burst: 1000000
nats:
  listen: %s
%s`, s.Dir, strings.Join(roles, ", "), s.HTTPS, s.Bus, more)
	return s, os.WriteFile(s.config, []byte(text), 0o600)
}

// Join gives the server the keys and the CA of another one, as an operator
// does who makes it part of the same fleet.
func (s *Server) Join(other *Server) error {
	for _, folder := range []string{"keys", "pki"} {
		if _, err := os.Stat(filepath.Join(s.Dir, folder)); err == nil {
			continue // it is, since an earlier run
		}
		if err := os.CopyFS(filepath.Join(s.Dir, folder), os.DirFS(filepath.Join(other.Dir, folder))); err != nil {
			return fmt.Errorf("making %s part of the fleet: %w", s.Name, err)
		}
		if err := private(filepath.Join(s.Dir, folder)); err != nil {
			return err
		}
	}
	return nil
}

// private gives keys the modes that a server insists on.
func private(dir string) error {
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return os.Chmod(path, 0o600)
	})
}

// FreePorts returns addresses on loopback that nobody listens on.
func FreePorts(n int) ([]string, error) {
	var out []string
	for range n {
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return out, nil
}

// Start starts the process. Ready waits for it.
func (s *Server) Start() error {
	var err error
	if s.log, err = os.OpenFile(s.Dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	s.cmd = s.command("", s.bin, "server", "--config", s.config)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", s.Name, err)
	}
	s.ended = make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan error) { ended <- cmd.Wait() }(s.cmd, s.ended)
	return nil
}

// Ready waits until both ports are listened on.
func (s *Server) Ready(ctx context.Context) error {
	for {
		if listens(s.Bus) && listens(s.HTTPS) {
			return nil
		}
		select {
		case err := <-s.ended:
			s.ended <- err
			return fmt.Errorf("%s ended: %w\n%s", s.Name, err, tail(s.Dir+".log"))
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen yet\n%s", s.Name, tail(s.Dir+".log"))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func listens(addr string) bool {
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-3000):])
}

// Stop ends the process as a person would.
func (s *Server) Stop() error {
	if s.cmd == nil {
		return nil
	}
	defer func() { s.cmd = nil; s.log.Close() }()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-s.ended:
		if exit, failed := errors.AsType[*exec.ExitError](err); failed && exit.ExitCode() > 0 {
			return fmt.Errorf("%s ended with %w\n%s", s.Name, err, tail(s.Dir+".log"))
		}
		return nil
	case <-time.After(time.Minute):
		_ = s.cmd.Process.Kill() // it is ours, and it is told below
		return fmt.Errorf("%s did not end within a minute and was killed: %w", s.Name, <-s.ended)
	}
}

// PID is the process, 0 when there is none.
func (s *Server) PID() int {
	if s.cmd == nil {
		return 0
	}
	return s.cmd.Process.Pid
}

// RSS is the resident memory in bytes.
func (s *Server) RSS() int64 { return sim.RSS(s.PID()) }

// URL is where peels enroll.
func (s *Server) URL() string { return "https://" + s.HTTPS }

// Pin is that of the server's CA.
func (s *Server) Pin() (string, error) {
	ca, err := pki.OpenCA(filepath.Join(s.Dir, "pki"))
	if err != nil {
		return "", err
	}
	return ca.Pin(), nil
}
