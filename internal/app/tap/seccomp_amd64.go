package tap

import "golang.org/x/sys/unix"

const (
	auditArch    = unix.AUDIT_ARCH_X86_64
	foreignCalls = 0x40000000 // from here on are those of x32
)

// callsHere are calls that only this architecture has.
func callsHere() []uint32 {
	return []uint32{
		unix.SYS_NEWFSTATAT, unix.SYS_EPOLL_WAIT, unix.SYS_POLL, unix.SYS_STAT, unix.SYS_LSTAT, unix.SYS_OPEN, unix.SYS_ACCESS, unix.SYS_PIPE,
		unix.SYS_UNLINK, unix.SYS_RENAME, unix.SYS_MKDIR, unix.SYS_RMDIR, unix.SYS_READLINK, unix.SYS_CHMOD, unix.SYS_TIME, unix.SYS_DUP2,
		unix.SYS_GETRLIMIT, unix.SYS_RECVMMSG, unix.SYS_SENDMMSG,
	}
}

// killedHere likewise.
func killedHere() []uint32 {
	return []uint32{unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT, unix.SYS_USELIB}
}
