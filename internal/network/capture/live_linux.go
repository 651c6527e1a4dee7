package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/packet"
)

const (
	defaultRing  = 64 << 20
	minRing      = 8 << 20
	maxRing      = 4 << 30
	blockBytes   = 1 << 20 // far above the largest frame (64 KiB with GRO)
	frameBytes   = 1 << 16 // only a unit of account in TPACKET_V3
	retireMS     = 20
	linkOverhead = 14 + 8 // of an Ethernet header and two VLAN tags
	tagBytes     = 4      // room that the kernel leaves before a frame, for its VLAN tag
	maxWait      = time.Minute
)

// LiveConfig says how an interface is captured. Zero values stand for the
// defaults.
type LiveConfig struct {
	RingBytes   int64 // of each worker: 64 MiB; at least 8 MiB; rounded down to whole MiB
	Snaplen     int   // bytes kept of each frame; 0 is all
	Promiscuous bool
	Filter      string // see package filter; empty takes every frame
	SmallRing   bool   // lets the ring be below the floor, for tests that want it to run over
}

// Live captures one interface through a TPACKET_V3 ring: the kernel writes
// frames into blocks of memory that it shares with us and hands over a block
// when it is full or 20 ms old. Segments that the card or the kernel has
// joined (GRO) come as one frame of up to 64 KiB, and count as one packet.
type Live struct {
	fd    int
	name  string
	link  packet.LinkType
	ring  []byte
	next  int // block to read next
	large int // bytes that a frame of this interface does not exceed
	fds   []unix.PollFd
	stats Stats
	err   error
}

var _ Source = (*Live)(nil)

// OpenLive is OpenSocket and FromFD in one process.
func OpenLive(iface string, cfg LiveConfig) (*Live, error) {
	fd, err := OpenSocket(iface)
	if err != nil {
		return nil, err
	}
	return FromFD(fd, cfg)
}

// FromFD makes the ring on a socket from OpenSocket and begins to capture. It
// owns fd from then on, also when it fails. It needs no capability.
func FromFD(fd int, cfg LiveConfig) (*Live, error) {
	workers, err := FromFDs([]int{fd}, cfg)
	if err != nil {
		return nil, err
	}
	return workers[0], nil
}

// prepare finds the interface of the socket, sets the socket up and maps its
// ring. The socket stays deaf.
func (l *Live) prepare(cfg LiveConfig) (*net.Interface, error) {
	floor := int64(minRing)
	if cfg.SmallRing {
		floor = blockBytes
	}
	if cfg.RingBytes == 0 {
		cfg.RingBytes = defaultRing
	}
	if cfg.RingBytes < floor || cfg.RingBytes > maxRing {
		return nil, errs.New(errs.Invalid, "capture ring of %d bytes: it must have between 8 MiB and 4 GiB", cfg.RingBytes)
	}
	addr, err := unix.Getsockname(l.fd)
	if err != nil {
		return nil, fmt.Errorf("capture: descriptor %d: %w", l.fd, err)
	}
	ll, ok := addr.(*unix.SockaddrLinklayer)
	if !ok || ll.Ifindex == 0 {
		return nil, errs.New(errs.Invalid, "capture: descriptor %d is no packet socket bound to an interface", l.fd)
	}
	dev, err := net.InterfaceByIndex(ll.Ifindex)
	if err != nil {
		return nil, errs.New(errs.Unavailable, "capture: interface %d of descriptor %d is gone: %w", ll.Ifindex, l.fd, err)
	}
	l.name, l.link = dev.Name, linkOf(ll.Hatype)
	l.large = dev.MTU + linkOverhead
	l.fds = []unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}}
	return dev, l.options(dev, cfg)
}

// bind begins to receive.
func (l *Live) bind(dev *net.Interface) error {
	all := &unix.SockaddrLinklayer{Protocol: swap16(unix.ETH_P_ALL), Ifindex: dev.Index}
	if err := unix.Bind(l.fd, all); err != nil {
		return fmt.Errorf("capture on %s: begin: %w", l.name, err)
	}
	return nil
}

// swap16 turns a number of this host's into network byte order.
func swap16(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

// options sets the socket up, and maps its ring.
func (l *Live) options(dev *net.Interface, cfg LiveConfig) error {
	set := func(what string, err error) error {
		if err != nil {
			return fmt.Errorf("capture on %s: %s: %w", l.name, what, err)
		}
		return nil
	}
	steps := []func() error{
		func() error {
			return set("TPACKET_V3", unix.SetsockoptInt(l.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3))
		},
		func() error {
			return set("headroom", unix.SetsockoptInt(l.fd, unix.SOL_PACKET, unix.PACKET_RESERVE, tagBytes))
		},
		func() error {
			if dev.Flags&net.FlagLoopback == 0 {
				return nil
			}
			// On loopback each packet goes out and comes in: once is enough.
			return set("ignore outgoing packets (Linux 4.20 or later)",
				unix.SetsockoptInt(l.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1))
		},
		func() error {
			if !cfg.Promiscuous {
				return nil
			}
			return set("promiscuous mode", unix.SetsockoptPacketMreq(l.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
				&unix.PacketMreq{Ifindex: int32(dev.Index), Type: unix.PACKET_MR_PROMISC}))
		},
		func() error { return l.makeRing(cfg.RingBytes) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (l *Live) makeRing(size int64) error {
	blocks := uint32(size / blockBytes)
	req := unix.TpacketReq3{
		Block_size: blockBytes, Block_nr: blocks, Frame_size: frameBytes,
		Frame_nr: blocks * (blockBytes / frameBytes), Retire_blk_tov: retireMS,
	}
	if err := unix.SetsockoptTpacketReq3(l.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return fmt.Errorf("capture on %s: ring of %d MiB (less memory may do: capture.ring_bytes): %w", l.name, blocks, err)
	}
	ring, err := unix.Mmap(l.fd, 0, int(blocks)*blockBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("capture on %s: map ring of %d MiB: %w", l.name, blocks, err)
	}
	l.ring, l.stats.RingSize = ring, uint64(len(ring))
	return nil
}

// Name returns the interface's name.
func (l *Live) Name() string { return l.name }

// Read implements Source: one batch is one block. An interface that goes away
// or down is an error of kind Unavailable.
func (l *Live) Read(h Handler, wait time.Duration) (int, error) {
	block := l.ring[l.next*blockBytes:][:blockBytes]
	desc := (*unix.TpacketBlockDesc)(unsafe.Pointer(&block[0]))
	hdr := (*unix.TpacketHdrV1)(unsafe.Pointer(&desc.Hdr[0]))
	if atomic.LoadUint32(&hdr.Block_status)&unix.TP_STATUS_USER == 0 {
		if l.err != nil {
			return 0, l.err
		}
		if err := l.poll(wait); err != nil {
			l.err = err
			return 0, err
		}
		if atomic.LoadUint32(&hdr.Block_status)&unix.TP_STATUS_USER == 0 {
			return 0, nil
		}
	}
	n := l.frames(h, block, hdr)
	l.stats.Read += uint64(n)
	atomic.StoreUint32(&hdr.Block_status, unix.TP_STATUS_KERNEL)
	l.next = (l.next + 1) % (len(l.ring) / blockBytes)
	return n, nil
}

// frames hands the frames of a block over. The kernel wrote the offsets; they
// are checked all the same, because a wrong one would be a crash.
func (l *Live) frames(h Handler, block []byte, hdr *unix.TpacketHdrV1) int {
	const size = int(unsafe.Sizeof(unix.Tpacket3Hdr{}))
	n, at := int(hdr.Num_pkts), int(hdr.Offset_to_first_pkt)
	for i := range n {
		if at < 0 || at+size > len(block) {
			return i
		}
		f := (*unix.Tpacket3Hdr)(unsafe.Pointer(&block[at]))
		from, to := at+int(f.Mac), at+int(f.Mac)+int(f.Snaplen)
		if from < at+size || to > len(block) {
			return i
		}
		wire := int(f.Len)
		if wire > l.large {
			l.stats.Joined++
		}
		if f.Status&unix.TP_STATUS_VLAN_VALID != 0 && l.link == packet.LinkEthernet && to-from >= 12 {
			from -= tagBytes
			wire += tagBytes
			restoreTag(block[from:to], f)
		}
		h.Packet(int64(f.Sec)*1e9+int64(f.Nsec), l.link, block[from:to:to], wire)
		at += int(f.Next_offset)
	}
	return n
}

// restoreTag puts the VLAN tag, which the card or the kernel took out, back
// between the addresses and the EtherType. b begins with room for it.
func restoreTag(b []byte, f *unix.Tpacket3Hdr) {
	copy(b, b[tagBytes:tagBytes+12])
	tpid := uint16(unix.ETH_P_8021Q)
	if f.Status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
		tpid = f.Hv1.Vlan_tpid
	}
	binary.BigEndian.PutUint16(b[12:], tpid)
	binary.BigEndian.PutUint16(b[14:], uint16(f.Hv1.Vlan_tci))
}

// poll waits for a block.
func (l *Live) poll(wait time.Duration) error {
	fds := l.fds
	fds[0].Revents = 0
	began := time.Now()
	_, err := unix.Poll(fds, int(min(max(wait, 0), maxWait).Milliseconds()))
	l.stats.Waited += time.Since(began)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("capture on %s: wait for packets: %w", l.name, err)
	}
	if fds[0].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) == 0 {
		return nil
	}
	code, err := unix.GetsockoptInt(l.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	switch {
	case errors.Is(err, unix.ENETDOWN):
		return errs.New(errs.Unavailable, "capture on %s: the interface is down or gone: %w", l.name, err)
	case err != nil:
		return fmt.Errorf("capture on %s: %w", l.name, err)
	}
	return nil
}

// Stats implements Source. The kernel's counters start again at each read and
// are added up here.
func (l *Live) Stats() (Stats, error) {
	s, err := unix.GetsockoptTpacketStatsV3(l.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return l.stats, fmt.Errorf("capture on %s: read statistics: %w", l.name, err)
	}
	l.stats.Received += uint64(s.Packets)
	l.stats.Dropped += uint64(s.Drops)
	l.stats.Freezes += uint64(s.Freeze_q_cnt)
	l.stats.RingUsed = l.filled()
	return l.stats, nil
}

// filled is how many bytes of the ring wait to be read, in whole blocks. The
// kernel hands blocks over in order, so that the first one that it still has
// is the end.
func (l *Live) filled() (n uint64) {
	blocks := len(l.ring) / blockBytes
	for i := range blocks {
		at := (l.next + i) % blocks * blockBytes
		hdr := (*unix.TpacketHdrV1)(unsafe.Pointer(&(*unix.TpacketBlockDesc)(unsafe.Pointer(&l.ring[at])).Hdr[0]))
		if atomic.LoadUint32(&hdr.Block_status)&unix.TP_STATUS_USER == 0 {
			break
		}
		n += blockBytes
	}
	return n
}

// Close implements Source.
func (l *Live) Close() error {
	if l.fd < 0 {
		return nil
	}
	var first error
	if l.ring != nil {
		first = unix.Munmap(l.ring)
		l.ring = nil
	}
	err := unix.Close(l.fd)
	l.fd = -1
	return errors.Join(first, err)
}
