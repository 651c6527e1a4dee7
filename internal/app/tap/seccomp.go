package tap

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The parsing process is confined to the system calls of a list (seccomp(2),
// SECCOMP_MODE_FILTER): what it needs to read its rings, write its spool and
// speak to a node, and what the Go runtime needs. Any other call fails with
// EPERM and is noted in the kernel's log; a call by which a process becomes
// another program, or reaches into another one, ends the process.

// A rule allows a system call when all its conditions hold.
type rule struct {
	call  uint32
	conds []cond
}

// cond looks at the lower 32 bits of an argument.
type cond struct {
	arg  int
	of   []uint32 // the argument is one of these
	none uint32   // it has none of these bits
	all  uint32   // it has all of these
}

func oneOf(arg int, values ...uint32) cond  { return cond{arg: arg, of: values} }
func without(arg int, bits uint32) cond     { return cond{arg: arg, none: bits} }
func with(arg int, bits uint32) cond        { return cond{arg: arg, all: bits} }
func allow(call uint32, conds ...cond) rule { return rule{call, conds} }
func allowed(calls ...uint32) (rules []rule) {
	for _, c := range calls {
		rules = append(rules, rule{call: c})
	}
	return rules
}

// Places in struct seccomp_data, which the filter's loads read.
const (
	dataCall = 0
	dataArch = 4
	dataArgs = 16 // 64 bits each; the lower half comes first on both architectures
)

const (
	actAllow = unix.SECCOMP_RET_ALLOW
	actDeny  = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	actKill  = unix.SECCOMP_RET_KILL_PROCESS
)

func stmt(op uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: op, K: k} }
func jump(op uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | op, Jt: yes, Jf: no, K: k}
}
func load(at uint32) unix.SockFilter  { return stmt(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, at) }
func give(act uint32) unix.SockFilter { return stmt(unix.BPF_RET|unix.BPF_K, act) }

// wallProgram is the filter in classic BPF. Each call is a comparison and what
// follows from it, so that no jump is long.
func wallProgram(arch uint32, rules []rule, kill []uint32) []unix.SockFilter {
	p := []unix.SockFilter{
		load(dataArch), jump(unix.BPF_JEQ, arch, 1, 0), give(actKill), // another architecture has other numbers
		load(dataCall), jump(unix.BPF_JGE, foreignCalls, 0, 1), give(actKill),
	}
	for _, call := range kill {
		p = append(p, jump(unix.BPF_JEQ, call, 0, 1), give(actKill))
	}
	for _, r := range rules {
		body := r.body()
		p = append(append(p, jump(unix.BPF_JEQ, r.call, 0, uint8(len(body)))), body...)
	}
	return append(p, give(actDeny))
}

// body is what is done once the call is known. It always ends in an answer.
func (r rule) body() (p []unix.SockFilter) {
	for _, c := range r.conds {
		p = append(p, load(dataArgs+8*uint32(c.arg)))
		switch {
		case c.none != 0:
			p = append(p, jump(unix.BPF_JSET, c.none, 0, 1), give(actDeny))
		case c.all != 0:
			p = append(p, stmt(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, c.all), jump(unix.BPF_JEQ, c.all, 1, 0), give(actDeny))
		default:
			for i, v := range c.of {
				p = append(p, jump(unix.BPF_JEQ, v, uint8(len(c.of)-i), 0))
			}
			p = append(p, give(actDeny))
		}
	}
	return append(p, give(actAllow))
}

// errNoWall says that the filter could not be set up here.
var errNoWall = errors.New("system calls are not filtered")

// confine puts the filter on every thread of this process, and on those that
// it starts later, for good. New privileges must have been refused before.
func confine() error {
	if auditArch == 0 {
		return fmt.Errorf("%w: there is no list for this architecture, only for amd64 and arm64", errNoWall)
	}
	code := wallProgram(auditArch, wallRules(uint32(os.Getpid())), killed())
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	for _, flags := range []uintptr{unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_LOG, unix.SECCOMP_FILTER_FLAG_TSYNC} {
		left, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
		switch {
		case e == unix.EINVAL: // a kernel before 4.14 does not log
		case e != 0:
			return fmt.Errorf("%w: %w", errNoWall, e)
		case left != 0:
			return fmt.Errorf("%w: thread %d cannot take the filter", errNoWall, left)
		default:
			return nil
		}
	}
	return fmt.Errorf("%w: this kernel does not know how (CONFIG_SECCOMP_FILTER)", errNoWall)
}
