package capture

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/network/capture/filter"
	"github.com/rind-project/rind/internal/network/packet"
)

// States of an interface.
const (
	StateMissing = "missing"
	StateDown    = "down"
	StateUp      = "up"
	StateNoLink  = "no link" // up, without a carrier
)

// Device is an interface as a capture would find it.
type Device struct {
	Name         string   `json:"name"`
	State        string   `json:"state"`
	Link         string   `json:"link_type,omitempty"`
	MTU          int      `json:"mtu,omitempty"`
	MAC          string   `json:"mac,omitempty"`
	Addresses    []string `json:"addresses,omitempty"`
	Offloads     []string `json:"offloads,omitempty"`      // that are on and join segments: gro, lro, tso, gso
	VLANStripped bool     `json:"vlan_stripped,omitempty"` // the card takes VLAN tags out of frames

	link packet.LinkType
}

// Interfaces returns the names of the host's interfaces.
func Interfaces() (names []string) {
	all, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for _, dev := range all {
		names = append(names, dev.Name)
	}
	return names
}

// Inspect looks at an interface. It needs no capability.
func Inspect(name string) Device {
	d := Device{Name: name, State: StateMissing, link: packet.LinkEthernet}
	dev, err := net.InterfaceByName(name)
	if err != nil {
		return d
	}
	d.State, d.MTU, d.MAC = StateDown, dev.MTU, dev.HardwareAddr.String()
	if dev.Flags&net.FlagUp != 0 {
		if d.State = StateUp; dev.Flags&net.FlagRunning == 0 {
			d.State = StateNoLink
		}
	}
	if addrs, err := dev.Addrs(); err == nil {
		for _, a := range addrs {
			d.Addresses = append(d.Addresses, a.String())
		}
	}
	if n, ok := numberIn(filepath.Join("/sys/class/net", name, "type")); ok { // the ARPHRD number
		d.link = linkOf(uint16(n))
		d.Link = d.link.String()
	}
	d.features()
	return d
}

// Filtered says whether a filter can be used on the interface.
func (d *Device) Filtered(expr string) error {
	_, err := filter.Compile(expr, filter.Options{Link: d.link, Live: true})
	return err
}

// The questions of ethtool (linux/ethtool.h).
const (
	askTSO, askGSO, askFlags, askGRO = 0x1e, 0x23, 0x25, 0x2b
	flagStripVLAN, flagLRO           = 1 << 8, 1 << 15
)

// features asks which offloads are on. A driver that does not answer has none.
func (d *Device) features() {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	for _, of := range []struct {
		name string
		ask  uint32
	}{{"gro", askGRO}, {"tso", askTSO}, {"gso", askGSO}} {
		if v, ok := ethtool(fd, d.Name, of.ask); ok && v != 0 {
			d.Offloads = append(d.Offloads, of.name)
		}
	}
	if flags, ok := ethtool(fd, d.Name, askFlags); ok {
		if flags&flagLRO != 0 {
			d.Offloads = append(d.Offloads, "lro")
		}
		d.VLANStripped = flags&flagStripVLAN != 0
	}
}

// ethtool asks the driver one question with one number for an answer
// (struct ethtool_value).
func ethtool(fd int, name string, ask uint32) (uint32, bool) {
	value := [2]uint32{ask}
	var req struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	if copy(req.name[:unix.IFNAMSIZ-1], name) < len(name) {
		return 0, false
	}
	req.data = unsafe.Pointer(&value)
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
	return value[1], e == 0
}

// Memory returns how many bytes of memory the host has available, and what
// this process's control group (version 2) may still take; 0 is no limit.
func Memory() (available, limit uint64) {
	f, err := os.Open("/proc/meminfo")
	if err == nil {
		defer f.Close()
		for in := bufio.NewScanner(f); in.Scan(); {
			if rest, ok := strings.CutPrefix(in.Text(), "MemAvailable:"); ok {
				n, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
				available = n << 10
			}
		}
	}
	group, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return available, 0
	}
	for line := range strings.Lines(string(group)) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		dir := filepath.Join("/sys/fs/cgroup", path)
		most, ok := numberIn(filepath.Join(dir, "memory.max"))
		used, _ := numberIn(filepath.Join(dir, "memory.current"))
		if ok {
			limit = max(most, used+1) - used
		}
	}
	return available, limit
}

// numberIn reads a file that holds a number.
func numberIn(path string) (uint64, bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil
}
