package facts

import (
	"encoding/hex"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/rind-project/rind/internal/fleet"
)

// interfaces asks the kernel, or reads /sys and /proc/net below a root and
// where the kernel does not answer.
func (t tree) interfaces() []fleet.Interface {
	if t.root == "" {
		if live, err := liveInterfaces(); err == nil {
			return live
		}
	}
	addrs := t.ipv6()
	for name, a := range t.ipv4() {
		addrs[name] = append(addrs[name], a...)
	}
	var out []fleet.Interface
	for _, name := range t.list("sys/class/net") {
		dir := "sys/class/net/" + name + "/"
		if !t.exists(dir + "mtu") {
			continue
		}
		flags := strings.TrimPrefix(t.line(dir+"flags"), "0x")
		out = append(out, fleet.Interface{
			Name: clean(name), MAC: mac(t.line(dir + "address")), MTU: int(number(t.line(dir + "mtu"))),
			Up:        flags != "" && strings.Contains("13579bdf", strings.ToLower(flags[len(flags)-1:])), // IFF_UP is the lowest bit
			Addresses: sorted(addrs[name]),
		})
	}
	return out
}

func liveInterfaces() ([]fleet.Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var out []fleet.Interface
	for _, i := range all[:min(len(all), MaxList)] {
		f := fleet.Interface{Name: clean(i.Name), MAC: mac(i.HardwareAddr.String()), MTU: i.MTU, Up: i.Flags&net.FlagUp != 0}
		addrs, _ := i.Addrs() // an interface that went away meanwhile has none
		var list []netip.Prefix
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				list = append(list, p)
			}
		}
		f.Addresses = sorted(list)
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b fleet.Interface) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// mac leaves out addresses that say nothing, such as loopback's.
func mac(s string) string {
	if s = strings.ToLower(s); s == "00:00:00:00:00:00" {
		return ""
	}
	return s
}

// sorted brings addresses in one order, IPv4 first, so that facts do not
// change by it.
func sorted(list []netip.Prefix) []string {
	slices.SortFunc(list, netip.Prefix.Compare)
	list = slices.Compact(list)
	var out []string
	for _, p := range list[:min(len(list), MaxList)] {
		out = append(out, p.String())
	}
	return out
}

// ipv6 reads /proc/net/if_inet6: address, index, prefix length in hex, scope,
// flags, name.
func (t tree) ipv6() map[string][]netip.Prefix {
	out := map[string][]netip.Prefix{}
	for line := range strings.SplitSeq(t.read("proc/net/if_inet6"), "\n") {
		w := strings.Fields(line)
		if len(w) < 6 {
			continue
		}
		raw, err := hex.DecodeString(w[0])
		bits, err2 := hex.DecodeString(w[2])
		if err != nil || err2 != nil || len(raw) != 16 || len(bits) != 1 || bits[0] > 128 {
			continue
		}
		out[w[5]] = append(out[w[5]], netip.PrefixFrom(netip.AddrFrom16([16]byte(raw)), int(bits[0])))
	}
	return out
}

// ipv4 joins the host's own addresses in /proc/net/fib_trie with the networks
// that /proc/net/route has on an interface.
func (t tree) ipv4() map[string][]netip.Prefix {
	out := map[string][]netip.Prefix{}
	local := t.localIPv4()
	for line := range strings.SplitSeq(t.read("proc/net/route"), "\n") {
		w := strings.Fields(line)
		if len(w) < 8 {
			continue
		}
		dst, ok1 := littleEndian(w[1])
		mask, ok2 := littleEndian(w[7])
		if !ok1 || !ok2 || w[2] != "00000000" {
			continue
		}
		ones, _ := net.IPMask(mask.AsSlice()).Size()
		subnet := netip.PrefixFrom(dst, ones)
		for _, a := range local {
			if ones > 0 && subnet.Contains(a) {
				out[w[0]] = append(out[w[0]], netip.PrefixFrom(a, ones))
			}
		}
	}
	for _, a := range local {
		if a.IsLoopback() {
			out["lo"] = append(out["lo"], netip.PrefixFrom(a, 8))
		}
	}
	return out
}

func (t tree) localIPv4() []netip.Addr {
	var out []netip.Addr
	var last netip.Addr
	for line := range strings.SplitSeq(t.read("proc/net/fib_trie"), "\n") {
		line = strings.TrimSpace(line)
		if s, ok := strings.CutPrefix(line, "|-- "); ok {
			last, _ = netip.ParseAddr(s)
		} else if line == "/32 host LOCAL" && last.IsValid() && !slices.Contains(out, last) && len(out) < MaxList {
			out = append(out, last)
		}
	}
	return out
}

// littleEndian reads an IPv4 address as /proc/net/route writes it.
func littleEndian(s string) (netip.Addr, bool) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 4 {
		return netip.Addr{}, false
	}
	slices.Reverse(b)
	return netip.AddrFromSlice(b)
}
