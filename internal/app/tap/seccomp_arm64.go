package tap

import "golang.org/x/sys/unix"

const (
	auditArch    = unix.AUDIT_ARCH_AARCH64
	foreignCalls = 0x40000000
)

// callsHere are calls that this architecture names in its own way.
func callsHere() []uint32 {
	return []uint32{unix.SYS_FSTATAT, unix.SYS_GETRLIMIT, unix.SYS_RECVMMSG, unix.SYS_SENDMMSG}
}

// killedHere likewise.
func killedHere() []uint32 { return nil }
