//go:build amd64 || arm64

package tap

import "golang.org/x/sys/unix"

// killed are the calls that end the process: to become another program, to
// reach into another process or into the kernel, and to change what is mounted.
// Nothing in a tap makes them; whoever does has taken it over.
func killed() []uint32 {
	return append([]uint32{
		unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV,
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD,
		unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_REBOOT,
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_MOVE_MOUNT, unix.SYS_FSOPEN, unix.SYS_OPEN_TREE,
		unix.SYS_SETNS, unix.SYS_UNSHARE, unix.SYS_SWAPON, unix.SYS_SWAPOFF,
		unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
		unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
	}, killedHere()...)
}

// prSetVMA is PR_SET_VMA, by which the Go runtime names its memory.
const prSetVMA = 0x53564d41

// wallRules are the calls that a tap with that process id makes.
func wallRules(pid uint32) []rule {
	// First those of the hot path, since the filter is read from the start.
	rules := allowed(
		unix.SYS_FUTEX, unix.SYS_PPOLL, unix.SYS_READ, unix.SYS_WRITE, unix.SYS_EPOLL_PWAIT, unix.SYS_NANOSLEEP, unix.SYS_GETSOCKOPT,
		// The Go runtime.
		unix.SYS_CLOCK_GETTIME, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_GETTIMEOFDAY, unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY,
		unix.SYS_MUNMAP, unix.SYS_MADVISE, unix.SYS_MREMAP, unix.SYS_MINCORE, unix.SYS_BRK, unix.SYS_GETRANDOM,
		unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK, unix.SYS_RESTART_SYSCALL,
		unix.SYS_GETPID, unix.SYS_GETPPID, unix.SYS_GETTID, unix.SYS_EXIT, unix.SYS_EXIT_GROUP, unix.SYS_SET_ROBUST_LIST, unix.SYS_RSEQ,
		unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EVENTFD2, unix.SYS_PIPE2,
		unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID, unix.SYS_GETRUSAGE, unix.SYS_UNAME, unix.SYS_SYSINFO,
		// Files: the spool, the state, the quarantine, /proc and what names are looked up in.
		unix.SYS_READV, unix.SYS_WRITEV, unix.SYS_PREAD64, unix.SYS_PREADV2, unix.SYS_PWRITE64, unix.SYS_LSEEK, unix.SYS_CLOSE, unix.SYS_FSTAT, unix.SYS_STATX,
		unix.SYS_OPENAT, unix.SYS_GETDENTS64, unix.SYS_READLINKAT, unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2, unix.SYS_GETCWD,
		unix.SYS_MKDIRAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_FTRUNCATE,
		unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FLOCK, unix.SYS_FCNTL, unix.SYS_DUP, unix.SYS_DUP3, unix.SYS_STATFS, unix.SYS_FSTATFS,
		unix.SYS_COPY_FILE_RANGE, unix.SYS_SENDFILE, unix.SYS_SPLICE,
		// Sockets: the rings, the opener, nodes, names, metrics, the bus.
		unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_ACCEPT, unix.SYS_ACCEPT4, unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME,
		unix.SYS_SENDTO, unix.SYS_RECVFROM, unix.SYS_SENDMSG, unix.SYS_RECVMSG, unix.SYS_SHUTDOWN, unix.SYS_SETSOCKOPT,
		// Workers that are bound to a CPU.
		unix.SYS_SCHED_SETAFFINITY,
	)
	rules = append(rules,
		// Memory is never made executable.
		allow(unix.SYS_MMAP, without(2, unix.PROT_EXEC)),
		allow(unix.SYS_MPROTECT, without(2, unix.PROT_EXEC)),
		// Threads, and no processes.
		allow(unix.SYS_CLONE, with(0, unix.CLONE_THREAD|unix.CLONE_VM|unix.CLONE_SIGHAND)),
		// Signals and limits of this process only.
		allow(unix.SYS_TGKILL, oneOf(0, pid)),
		allow(unix.SYS_PRLIMIT64, oneOf(0, 0, pid)),
		// No packet sockets: those come from the opener.
		allow(unix.SYS_SOCKET, oneOf(0, unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK)),
		allow(unix.SYS_SOCKETPAIR, oneOf(0, unix.AF_UNIX)),
		allow(unix.SYS_IOCTL, oneOf(1, unix.TCGETS)),
		allow(unix.SYS_PRCTL, oneOf(0, prSetVMA)),
	)
	return append(rules, allowed(callsHere()...)...)
}
