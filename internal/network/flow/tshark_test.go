package flow_test

import (
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/pipeline"
)

// fragmented lists the captures with fragments, of which tshark sees the later
// ones without ports and without a protocol, and a tap in the flow of their
// first: these are compared by the two addresses.
var fragmented = map[string]bool{
	"defrag__bug-6887-defrag-eth-vlan-ipv6-tcp__frag-eth-vlan-ipv6-tcp.pcap": true,
	"dns-edns-ecs.pcap":        true,
	"ipv6-fragmented-dns.pcap": true,
}

// byAddress leaves out ports and protocols.
func (s sums) byAddress() sums {
	all := sums{}
	for key, n := range s {
		ends, _, _ := strings.Cut(key, " ")
		a, b, _ := strings.Cut(ends, "-")
		addr := func(s string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddrPort(s).Addr(), 0) }
		all.add(addr(a), addr(b), "", n[0], n[1])
	}
	return all
}

// sums are packets and bytes by "address:port-address:port protocol", the
// lower end first. ICMP has no ports here.
type sums map[string][2]uint64

func (s sums) add(a, b netip.AddrPort, proto string, packets, bytes uint64) {
	if a.Compare(b) > 0 {
		a, b = b, a
	}
	key := fmt.Sprintf("%v-%v %s", a, b, proto)
	n := s[key]
	s[key] = [2]uint64{n[0] + packets, n[1] + bytes}
}

// ours reads a capture with everything that a tap does.
func ours(t *testing.T, path string) sums {
	t.Helper()
	f, err := capture.OpenFile(t.Context(), path, capture.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := sums{}
	pipeline.ReadFile(t.Context(), f, pipeline.New(pipeline.Config{MaxFlows: 4096}), func(r network.Report) error {
		for _, f := range r.Flows {
			a, b := netip.AddrPortFrom(f.Source, f.SrcPort), netip.AddrPortFrom(f.Dest, f.DstPort)
			if f.Proto == network.ICMP || f.Proto == network.ICMPv6 {
				a, b = netip.AddrPortFrom(f.Source, 0), netip.AddrPortFrom(f.Dest, 0)
			}
			name := f.Proto.String()
			if _, err := strconv.Atoi(name); err == nil {
				name = "other"
			}
			all.add(a, b, name, f.SrcPkts+f.DstPkts, f.SrcBytes+f.DstBytes)
		}
		return nil // the file may end too early: what stands before is compared
	})
	return all
}

// theirs sums what tshark says of each packet: the innermost headers, but for
// those that an ICMP error quotes.
func theirs(t *testing.T, path string) sums {
	t.Helper()
	fields := []string{"frame.len", "frame.protocols", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst",
		"tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "sctp.srcport", "sctp.dstport"}
	args := []string{"-n", "-r", path, "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE",
		"-T", "fields", "-E", "separator=|", "-E", "occurrence=a", "-E", "aggregator=,"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.Command("tshark", args...).Output()
	if err != nil && len(out) == 0 {
		t.Skipf("tshark: %v", err)
	}
	all := sums{}
	for line := range strings.Lines(string(out)) {
		cells := strings.Split(strings.TrimRight(line, "\n"), "|")
		if len(cells) != len(fields) {
			t.Fatalf("a line of %d cells: %q", len(cells), line)
		}
		addPacket(all, cells)
	}
	return all
}

func addPacket(all sums, cells []string) {
	lists := make([][]string, len(cells))
	for i, c := range cells {
		if c != "" {
			lists[i] = strings.Split(c, ",")
		}
	}
	next := map[string]int{}
	take := func(src int, name string) (a, b string) {
		n := next[name]
		next[name]++
		if n >= len(lists[src]) || n >= len(lists[src+1]) {
			return "", ""
		}
		return lists[src][n], lists[src+1][n]
	}
	var src, dst, sp, dp, proto string
walk:
	for _, token := range strings.Split(cells[1], ":") {
		switch token {
		case "ip":
			src, dst = take(2, token)
			sp, dp, proto = "0", "0", "other"
		case "ipv6":
			src, dst = take(4, token)
			sp, dp, proto = "0", "0", "other"
		case "tcp", "udp", "sctp":
			sp, dp = take(map[string]int{"tcp": 6, "udp": 8, "sctp": 10}[token], token)
			proto = token
		case "igmp":
			proto = token
		case "icmp", "icmpv6":
			proto = token
			break walk
		}
	}
	a, err := netip.ParseAddrPort(joinPort(src, sp))
	b, err2 := netip.ParseAddrPort(joinPort(dst, dp))
	n, _ := strconv.ParseUint(cells[0], 10, 64)
	if err == nil && err2 == nil {
		all.add(a, b, proto, 1, n)
	}
}

func joinPort(addr, port string) string {
	if strings.Contains(addr, ":") {
		return "[" + addr + "]:" + port
	}
	return addr + ":" + port
}

// TestCorpusAgainstTshark compares packets and bytes of every flow in every
// capture with an independent reader.
func TestCorpusAgainstTshark(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed: the test compares with it")
	}
	if testing.Short() {
		t.Skip("a process for each capture takes a while")
	}
	dir, _ := os.Getwd()
	root := filepath.Join(dir, "../../../../shared/pcaps")
	if _, err := os.Stat(root); err != nil {
		t.Skipf("no captures in %s: the test needs them", root)
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ext := filepath.Ext(path); ext != ".pcap" && ext != ".cap" && ext != ".pcapng" {
			return nil
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			want, got := theirs(t, path), ours(t, path)
			if fragmented[filepath.Base(path)] {
				want, got = want.byAddress(), got.byAddress()
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			t.Logf("%d flows", len(want))
		})
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
