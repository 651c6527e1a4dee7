package capture

import (
	"fmt"
	"net"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/capture/filter"
)

// MaxWorkers bounds the workers of one interface.
const MaxWorkers = 64

// OpenWorkers opens a socket for each of n workers, by open, and is FromFDs
// on them.
func OpenWorkers(open func(iface string) (int, error), iface string, n int, cfg LiveConfig) ([]*Live, error) {
	var fds []int
	for range max(n, 1) {
		fd, err := open(iface)
		if err != nil {
			for _, fd := range fds {
				_ = unix.Close(fd)
			}
			return nil, err
		}
		fds = append(fds, fd)
	}
	return FromFDs(fds, cfg)
}

// FromFDs makes a ring on each socket from OpenSocket, all of one interface,
// and begins to capture. The kernel spreads the frames over them by the
// symmetric hash of their flow (PACKET_FANOUT_HASH), each frame to one of
// them, so that both directions of a flow come to one worker; fragments, which
// lack ports, are spread by address. The flag that has the kernel put
// fragments together is not set: a datagram would be one packet where the
// wire had several. FromFDs owns the descriptors from then on, also when it
// fails.
func FromFDs(fds []int, cfg LiveConfig) (workers []*Live, err error) {
	for _, fd := range fds {
		workers = append(workers, &Live{fd: fd})
	}
	defer func() {
		if err != nil {
			for _, l := range workers {
				_ = l.Close() // the first error is the one to tell
			}
			workers = nil
		}
	}()
	if n := len(fds); n < 1 || n > MaxWorkers {
		return workers, errs.New(errs.Invalid, "capture with %d workers: choose between 1 and %d", n, MaxWorkers)
	}
	var dev *net.Interface
	for _, l := range workers {
		if dev, err = l.prepare(cfg); err != nil {
			return workers, err
		}
	}
	program, err := program(workers[0], dev, cfg, len(workers) > 1)
	if err != nil {
		return workers, err
	}
	return workers, begin(workers, dev, program)
}

// program is the filter that a socket runs, or nil when it takes every frame
// whole.
func program(l *Live, dev *net.Interface, cfg LiveConfig, many bool) ([]bpf.RawInstruction, error) {
	opts := filter.Options{Link: l.link, Live: true, Snaplen: cfg.Snaplen}
	// A socket in a group receives through the group, for which the option
	// PACKET_IGNORE_OUTGOING of the socket counts for nothing.
	opts.NoOutgoing = many && dev.Flags&net.FlagLoopback != 0
	if cfg.Filter == "" && opts.Snaplen <= 0 && !opts.NoOutgoing {
		return nil, nil
	}
	p, err := filter.Compile(cfg.Filter, opts)
	if err != nil {
		return nil, fmt.Errorf("capture on %s: %w", l.name, err)
	}
	return p.Instructions(), nil
}

// nothing is the filter that lets no frame in.
var nothing = [...]bpf.RawInstruction{{Op: unix.BPF_RET | unix.BPF_K}}

// begin has the sockets receive. A socket can join a group only once it
// receives; until all of them have, a filter lets nothing in, so that no frame
// comes to two of them, or to one that its own filter would refuse.
func begin(workers []*Live, dev *net.Interface, program []bpf.RawInstruction) error {
	if len(workers) == 1 {
		if err := workers[0].attach(program); err != nil {
			return err
		}
		return workers[0].bind(dev)
	}
	group := unix.PACKET_FANOUT_FLAG_UNIQUEID << 16 // the kernel finds a number
	for _, l := range workers {
		if err := l.attach(nothing[:]); err != nil {
			return err
		}
		if err := l.bind(dev); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(l.fd, unix.SOL_PACKET, unix.PACKET_FANOUT, group|unix.PACKET_FANOUT_HASH<<16); err != nil {
			return fmt.Errorf("capture on %s: spread over %d workers (one does without: capture.workers): %w", l.name, len(workers), err)
		}
		id, err := unix.GetsockoptInt(l.fd, unix.SOL_PACKET, unix.PACKET_FANOUT)
		if err != nil {
			return fmt.Errorf("capture on %s: group of workers: %w", l.name, err)
		}
		group = id & 0xffff
	}
	for _, l := range workers {
		if err := l.attach(program); err != nil {
			return err
		}
	}
	return nil
}

// attach gives the socket a filter, in the place of the one that it has; nil
// takes that away.
func (l *Live) attach(program []bpf.RawInstruction) error {
	if program == nil {
		// Without a filter the kernel says so, and that is as it should be.
		if err := unix.SetsockoptInt(l.fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); err != nil && err != unix.ENOENT {
			return fmt.Errorf("capture on %s: take the filter away: %w", l.name, err)
		}
		return nil
	}
	code := make([]unix.SockFilter, len(program))
	for i, p := range program {
		code[i] = unix.SockFilter{Code: p.Op, Jt: p.Jt, Jf: p.Jf, K: p.K}
	}
	err := unix.SetsockoptSockFprog(l.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]})
	if err != nil {
		return fmt.Errorf("capture on %s: filter of %d instructions: %w", l.name, len(code), err)
	}
	return nil
}

// Quiesce lets nothing more in. What the ring holds can still be read, so that
// a capture ends with every frame accounted for.
func (l *Live) Quiesce() error { return l.attach(nothing[:]) }
