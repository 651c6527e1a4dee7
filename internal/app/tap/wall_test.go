package tap

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// behindTheWall names what this test binary tries once it is confined as the
// parsing process is.
const behindTheWall = "RIND_TEST_BEHIND_THE_WALL"

// TestMain runs this binary as a process behind the wall, when TestWall asks
// for it.
func TestMain(m *testing.M) {
	if what := os.Getenv(behindTheWall); what != "" {
		if err := wallUp(65534, 65534, slog.New(slog.NewTextHandler(os.Stdout, nil))); err != nil {
			fmt.Println("no wall:", err)
			os.Exit(0)
		}
		fmt.Println(attempts[what]())
		os.Exit(0)
	}
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// attempts are what a process that was taken over might try, and what a tap
// does.
var attempts = map[string]func() error{
	"status": func() error {
		text, err := os.ReadFile("/proc/self/status")
		fmt.Println(string(text))
		return err
	},
	"execve":   func() error { return unix.Exec("/bin/true", []string{"true"}, nil) },
	"ptrace":   func() error { return unix.PtraceAttach(os.Getppid()) },
	"unshare":  func() error { return unix.Unshare(unix.CLONE_NEWUSER) },
	"mount":    func() error { return unix.Mount("none", "/", "tmpfs", 0, "") },
	"io_uring": func() error { return errno(unix.Syscall(unix.SYS_IO_URING_SETUP, 1, 0, 0)) },
	"packet": func() error {
		_, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
		return err
	},
	"vsock": func() error {
		_, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)
		return err
	},
	"executable memory": func() error {
		_, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
		return err
	},
	"fork":        func() error { return errno(unix.Syscall(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0)) },
	"kill":        func() error { return unix.Kill(os.Getppid(), 0) },
	"other limit": func() error { return unix.Prlimit(os.Getppid(), unix.RLIMIT_NOFILE, nil, &unix.Rlimit{}) },
	"dumpable":    func() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) },
	"root again":  func() error { return errno(unix.RawSyscall(unix.SYS_SETUID, 0, 0, 0)) },
	"listen": func() error {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err == nil {
			return l.Close()
		}
		return err
	},
	"look up": func() error { _, err := net.LookupHost("localhost"); return err },
	"interfaces": func() error {
		_, err := net.InterfaceByName("lo")
		return err
	},
	"file": func() error {
		dir, err := os.MkdirTemp("", "wall")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		return os.WriteFile(filepath.Join(dir, "x"), []byte("x"), 0o600)
	},
}

func errno(_, _ uintptr, e syscall.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

// behind tries something behind the wall, and returns what was printed and how
// the process ended.
func behind(t *testing.T, what string) (out string, ended error) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=none")
	cmd.Env = append(os.Environ(), behindTheWall+"="+what)
	text, err := cmd.Output()
	if out = strings.TrimSpace(string(text)); strings.HasPrefix(out, "no wall: ") && strings.Contains(out, "cgo") {
		t.Skip("skipped: this test binary was built with cgo, beside which rights cannot be given up")
	}
	return out, err
}

// TestWall tries, in processes confined as the parsing process is, what a
// parser that was taken over might, and what a tap needs.
func TestWall(t *testing.T) {
	t.Parallel()
	const ended, refused, works = "bad system call", "operation not permitted", "<nil>"
	for what, want := range map[string]string{
		"execve": ended, "ptrace": ended, "unshare": ended, "mount": ended, "io_uring": ended,
		"packet": refused, "vsock": refused, "executable memory": refused, "fork": refused, "kill": refused,
		"other limit": refused, "dumpable": refused, "root again": refused,
		"listen": works, "look up": works, "interfaces": works, "file": works,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			out, err := behind(t, what)
			switch {
			case want == ended && (err == nil || !strings.Contains(err.Error(), ended)):
				t.Errorf("the process ended with %v after %q, want %q", err, out, want)
			case want != ended && (err != nil || out != want):
				t.Errorf("%q, %v; want %q", out, err, want)
			}
		})
	}
}

// TestWallStands asks the kernel how a confined process is held.
func TestWallStands(t *testing.T) {
	t.Parallel()
	out, err := behind(t, "status")
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var w Walls
	w.read(out)
	if !w.Seccomp || !w.NoNewPrivs || strings.Trim(w.Capabilities, "0") != "" {
		t.Errorf("%+v:\n%s", w, out)
	}
	w.Opener, w.UID = true, 65534
	if got := w.String(); got != "user 65534, sockets from the opener, no capability, no new privileges, system calls filtered" {
		t.Errorf("the walls read %q", got)
	}
	if got := (Walls{Capabilities: "0000000000002000"}).String(); strings.Count(got, "NOT: ") != 4 {
		t.Errorf("without walls it reads %q", got)
	}
}
