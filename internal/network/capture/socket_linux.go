package capture

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/packet"
)

// OpenSocket opens a packet socket bound to the interface. It is the only step
// that needs CAP_NET_RAW, so that a privileged opener can do it and hand the
// descriptor over. The socket receives nothing until FromFD.
func OpenSocket(iface string) (fd int, err error) {
	dev, err := net.InterfaceByName(iface)
	if err != nil {
		return -1, errs.New(errs.NotFound, "capture on %q: no such interface; there are: %s", iface, InterfaceNames())
	}
	// Protocol 0 keeps the socket deaf, so that nothing of another interface
	// and nothing from before the ring gets into it.
	fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return -1, errs.New(errs.Forbidden, "capture on %s: needs CAP_NET_RAW: run it as root, or give the binary the right "+
			"with `setcap cap_net_raw+ep`, or read capture files instead", iface)
	}
	if err != nil {
		return -1, fmt.Errorf("capture on %s: open packet socket: %w", iface, err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: dev.Index}); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("capture on %s: bind packet socket: %w", iface, err)
	}
	return fd, nil
}

// InterfaceNames lists the host's interfaces for a message, "eth0, lo".
func InterfaceNames() string {
	all, err := net.Interfaces()
	if err != nil || len(all) == 0 {
		return "none"
	}
	names := make([]string, len(all))
	for i, dev := range all {
		names[i] = dev.Name
	}
	return strings.Join(names, ", ")
}

// linkOf returns the link type of an interface by its ARPHRD number.
func linkOf(hatype uint16) packet.LinkType {
	switch hatype {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
		return packet.LinkEthernet
	case unix.ARPHRD_NONE, unix.ARPHRD_TUNNEL, unix.ARPHRD_TUNNEL6, unix.ARPHRD_SIT, unix.ARPHRD_PPP,
		unix.ARPHRD_RAWIP:
		return packet.LinkRaw
	case unix.ARPHRD_IEEE80211:
		return packet.LinkIEEE80211
	case unix.ARPHRD_IEEE80211_PRISM:
		return packet.LinkPrism
	case unix.ARPHRD_IEEE80211_RADIOTAP:
		return packet.LinkRadiotap
	}
	return linkUnknown
}

// linkUnknown is no registered link type: every packet of it is malformed,
// with the reason unsupported_link.
const linkUnknown packet.LinkType = 0xffff
