package capture

import (
	"io"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cached reads a regular file. What lies in memory already is copied by a
// system call of which the scheduler is not told: it cannot wait for the disk
// (preadv2(2), RWF_NOWAIT), and one that is told of, and takes twenty
// microseconds, has its processor given to others. All else is read as any
// file is.
type cached struct {
	f    *os.File
	conn syscall.RawConn
	copy func(fd uintptr) bool
	vec  unix.Iovec
	n    uintptr
	errs syscall.Errno
	deaf bool // the file system knows no such call
}

// readerOf returns what reads a regular file from where it stands.
func readerOf(f *os.File) io.Reader {
	conn, err := f.SyscallConn()
	if err != nil {
		return f
	}
	c := &cached{f: f, conn: conn}
	c.copy = c.now
	return c
}

// Read implements io.Reader. The end of the file, and what is wrong with it,
// is told by the file.
func (c *cached) Read(b []byte) (int, error) {
	if c.deaf || len(b) == 0 {
		return c.f.Read(b)
	}
	c.vec.Base = unsafe.SliceData(b)
	c.vec.SetLen(len(b))
	err := c.conn.Read(c.copy) // the descriptor stays open meanwhile
	c.vec.Base = nil
	if err == nil && c.errs == 0 && c.n > 0 {
		return int(c.n), nil
	}
	c.deaf = err == nil && c.errs != 0 && c.errs != unix.EAGAIN && c.errs != unix.EINTR
	return c.f.Read(b)
}

// now copies what is there.
func (c *cached) now(fd uintptr) bool {
	const here = ^uintptr(0) // an offset of -1: where the file stands, which moves on
	c.n, _, c.errs = unix.RawSyscall6(unix.SYS_PREADV2, fd, uintptr(unsafe.Pointer(&c.vec)), 1, here, here, unix.RWF_NOWAIT)
	return true
}
