package tap

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/base/errs"
)

// canOpen reports whether this process may make packet sockets.
func canOpen() bool { return has(unix.CAP_NET_RAW) }

func has(capability int) bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return false
	}
	return data[capability/32].Effective&(1<<(capability%32)) != 0
}

// unprivileged finds the user that the parsing process becomes: the named one,
// else rind-tap, else nobody.
func unprivileged(name string) (uid, gid int, err error) {
	names := []string{name}
	if name == "" {
		names = []string{"rind-tap", "nobody"}
	}
	for _, n := range names {
		u, lerr := user.Lookup(n)
		if lerr != nil {
			err = lerr
			continue
		}
		uid, _ = strconv.Atoi(u.Uid)
		gid, _ = strconv.Atoi(u.Gid)
		if uid == 0 {
			return 0, 0, errs.New(errs.Invalid, "user: %s is root; packets are parsed by an unprivileged user only", n)
		}
		return uid, gid, nil
	}
	return 0, 0, errs.New(errs.Invalid, "user: %v; make one with `useradd --system rind-tap`, or name another with --set user=NAME", err)
}

// hand gives a folder of the tap, and what is in it, to the user.
func hand(dir string, uid, gid int) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the data folder: %w; choose another with --data", err)
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
}

// keepOnly takes every capability away from this process, with all its
// threads, except those listed, for good.
func keepOnly(keep ...int) error {
	if _, _, e := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); e != 0 {
		return fmt.Errorf("refusing new privileges: %w", allThreads(e))
	}
	if err := unbound(); err != nil {
		return err
	}
	var caps [2]unix.CapUserData
	for _, c := range keep {
		caps[c/32].Effective |= 1 << (c % 32)
		caps[c/32].Permitted |= 1 << (c % 32)
	}
	return setCapabilities(&caps)
}

// unbound empties the bounding set, so that no program that is started later
// gets a capability either. It needs CAP_SETPCAP, and is left out without.
func unbound() error {
	if !has(unix.CAP_SETPCAP) {
		return nil
	}
	for c := range unix.CAP_LAST_CAP + 1 {
		_, _, e := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0, 0)
		if e != 0 && e != syscall.EINVAL { // this kernel does not know it
			return fmt.Errorf("bounding capabilities: %w", allThreads(e))
		}
	}
	return nil
}

// allThreads words the error of a system call that is made in every thread,
// since these rights belong to threads. Go does not make it beside C code, whose
// threads it does not know.
func allThreads(e syscall.Errno) error {
	if e == syscall.ENOTSUP {
		return errors.New("this binary was built with cgo, beside which rights cannot be given up in every thread: build it with `make build`, or with CGO_ENABLED=0")
	}
	return e
}

func setCapabilities(caps *[2]unix.CapUserData) error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if _, _, e := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&caps[0])), 0); e != 0 {
		return fmt.Errorf("dropping capabilities: %w", allThreads(e))
	}
	return nil
}

// drop makes this process, with all its threads, the unprivileged user, takes
// every capability away, and keeps it from ever getting one again
// (capabilities(7), prctl(2) PR_SET_NO_NEW_PRIVS).
func drop(uid, gid int) error {
	if err := unbound(); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		if err := syscall.Setgroups(nil); err != nil {
			return fmt.Errorf("dropping groups: %w", err)
		}
		if err := syscall.Setgid(gid); err != nil {
			return fmt.Errorf("becoming group %d: %w", gid, err)
		}
		if err := syscall.Setuid(uid); err != nil {
			return fmt.Errorf("becoming user %d: %w", uid, err)
		}
	}
	if _, _, e := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); e != 0 {
		return fmt.Errorf("refusing new privileges: %w", allThreads(e))
	}
	if _, _, e := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0, 0); e != 0 {
		return fmt.Errorf("dropping ambient capabilities: %w", allThreads(e))
	}
	return setCapabilities(&[2]unix.CapUserData{})
}
