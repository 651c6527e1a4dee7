package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/pipeline"
)

// mayDiffer is how many of a set may differ, and why: all others are equal.
var mayDiffer = map[string]struct {
	share float64
	why   string
}{
	"sni": {0.006, "tshark finds no name in some QUIC connections, unless they stand alone in a file"},
}

// facts are what two readers of a capture are compared by: how often each
// thing was seen.
type facts struct {
	packets, bytes uint64
	sets           map[string]map[string]int
	odd            *oddFrames     // of tshark's: what has to be told apart
	parts          map[string]int // fragments without ports, by datagram
	apart          map[string]int // frames, by why they count otherwise
}

func newFacts() *facts {
	f := &facts{sets: map[string]map[string]int{}, parts: map[string]int{}, apart: map[string]int{}}
	for _, s := range compared {
		f.sets[s] = map[string]int{}
	}
	return f
}

// compared are the sets. Of flows and names the packets and the questions
// count, of fingerprints the handshakes.
var compared = []string{"flow", "dns", "sni", "ja3", "dhcp"}

func (f *facts) add(set, what string, n int) {
	if what != "" {
		f.sets[set][what] += n
	}
}

func flowKey(a, b netip.AddrPort, proto string, vlan uint64) string {
	if a.Compare(b) > 0 {
		a, b = b, a
	}
	return fmt.Sprintf("%v %v %s vlan %d", a, b, proto, vlan)
}

// equality compares what rind-tap says of the capture with what tshark says.
func equality(ctx context.Context, _ *options, path string) error {
	if where, _ := exec.LookPath("tshark"); where == "" {
		fmt.Println("tshark is not installed, and nothing is compared: apt-get install tshark")
		return nil
	}
	ours, err := ourFacts(ctx, path)
	if err != nil {
		return err
	}
	began := time.Now()
	odd, err := findOdd(ctx, path)
	if err != nil {
		return err
	}
	theirs, err := tsharkFacts(ctx, path, odd)
	if err != nil {
		return err
	}
	fmt.Printf("tshark took %s\n", time.Since(began).Round(time.Second))
	var all []error
	if ours.packets != theirs.packets || ours.bytes != theirs.bytes {
		all = append(all, fmt.Errorf("%d packets of %d bytes, tshark has %d of %d", ours.packets, ours.bytes, theirs.packets, theirs.bytes))
	}
	fmt.Printf("%-8s %10d of %d bytes, tshark %d of %d\n", "packets", ours.packets, ours.bytes, theirs.packets, theirs.bytes)
	for _, why := range slices.Sorted(maps.Keys(theirs.apart)) {
		fmt.Printf("  %d frames: %s\n", theirs.apart[why], why)
	}
	for _, set := range compared {
		all = append(all, compare(set, ours.sets[set], theirs.sets[set]))
	}
	return errors.Join(all...)
}

// compare tells how two sets differ, the first few cases one by one.
func compare(set string, ours, theirs map[string]int) error {
	keys := map[string]bool{}
	for k := range ours {
		keys[k] = true
	}
	for k := range theirs {
		keys[k] = true
	}
	different := 0
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if ours[k] == theirs[k] {
			continue
		}
		if different++; different <= 10 {
			fmt.Printf("  %s %s: %d times, tshark %d times\n", set, k, ours[k], theirs[k])
		}
	}
	fmt.Printf("%-8s %10d different ones, tshark %d; %d differ\n", set, len(ours), len(theirs), different)
	result("equal-"+set, float64(len(ours)), float64(len(theirs)), "")
	if why := mayDiffer[set].why; different > 0 && why != "" {
		fmt.Printf("  %s\n", why)
	}
	if float64(different) > mayDiffer[set].share*float64(len(keys)) {
		return fmt.Errorf("%d of %d %s differ", different, len(keys), set)
	}
	return nil
}

func ourFacts(ctx context.Context, path string) (*facts, error) {
	f, err := capture.OpenFile(ctx, path, capture.FileOptions{Window: 10 * time.Second})
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all := newFacts()
	err = pipeline.ReadFile(ctx, f, pipeline.New(pipeline.Config{Interface: path}), func(r network.Report) error {
		all.packets += r.Interfaces[0].Received
		all.bytes += r.Interfaces[0].Bytes
		for i := range r.Flows {
			if f := &r.Flows[i]; f.Proto == network.TCP || f.Proto == network.UDP {
				all.add("flow", flowKey(netip.AddrPortFrom(f.Source, f.SrcPort), netip.AddrPortFrom(f.Dest, f.DstPort), f.Proto.String(), uint64(f.VLAN)), int(f.SrcPkts+f.DstPkts))
			}
		}
		for i := range r.DNS {
			all.add("dns", r.DNS[i].Name, 1)
		}
		for i := range r.TLS {
			all.add("sni", r.TLS[i].SNI, 1)
			if r.TLS[i].Proto == network.TCP {
				all.add("ja3", r.TLS[i].JA3, 1)
			}
		}
		for i := range r.DHCP {
			all.add("dhcp", r.DHCP[i].Fingerprint, 1)
		}
		return nil
	})
	return all, err
}

// fields are what tshark is asked for.
var fields = []string{"frame.number", "frame.len", "ip.id", "ipv6.fraghdr.ident", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "vlan.id",
	"dns.flags.response", "dns.qry.name", "tls.handshake.extensions_server_name", "tls.handshake.ja3", "dhcp.option.request_list_item"}

func tsharkFacts(ctx context.Context, path string, odd *oddFrames) (*facts, error) {
	args := []string{"-n", "-r", path, "-T", "fields", "-E", "separator=|", "-E", "occurrence=a", "-E", "aggregator=,"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	cmd := exec.CommandContext(ctx, "tshark", args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting tshark: %w", err)
	}
	all := newFacts()
	all.odd = odd
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		all.packet(strings.Split(lines.Text(), "|"))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading what tshark says: %w", err)
	}
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("tshark: %w", err)
	}
	return all, nil
}

// fragments takes what tshark shows of a fragment: the ports of a datagram stand
// in the one that completes it, with which the others are counted here.
func (f *facts) fragments(frame uint64, cell func(string) string) (more int) {
	if !f.odd.fragments[frame] {
		return 0
	}
	datagram := strings.Join([]string{cell("ip.src"), cell("ip.dst"), cell("ipv6.src"), cell("ipv6.dst"), cell("ip.id"), cell("ipv6.fraghdr.ident")}, " ")
	if cell("udp.srcport")+cell("tcp.srcport") == "" {
		f.parts[datagram]++
		f.apart["fragments: tshark shows no ports of them, a tap counts them in the flow of their datagram"]++
		return 0
	}
	return f.parts[datagram]
}

// packet takes a line of tshark's.
func (f *facts) packet(cells []string) {
	if len(cells) != len(fields) {
		return
	}
	cell := func(name string) string { return cells[slices.Index(fields, name)] }
	number := func(name string) uint64 {
		n, _ := strconv.ParseUint(cell(name), 10, 64) // no number is 0
		return n
	}
	f.packets++
	f.bytes += number("frame.len")
	frame := number("frame.number")
	if f.odd.malformed[frame] {
		f.apart["malformed: tshark shows ports in them, a tap counts them in the ledger"]++
		return
	}
	more := f.fragments(frame, cell)
	for _, proto := range []string{"tcp", "udp"} {
		src, err := netip.ParseAddr(cell("ip.src") + cell("ipv6.src"))
		dst, err2 := netip.ParseAddr(cell("ip.dst") + cell("ipv6.dst"))
		if cell(proto+".srcport") == "" || err != nil || err2 != nil {
			continue
		}
		f.add("flow", flowKey(netip.AddrPortFrom(src, uint16(number(proto+".srcport"))), netip.AddrPortFrom(dst, uint16(number(proto+".dstport"))), proto, number("vlan.id")), 1+more)
	}
	if f.odd.names[frame] {
		f.apart["questions whose name points at itself: tshark shows a text, to a tap they are no DNS"]++
	} else if r := cell("dns.flags.response"); r == "0" || r == "False" {
		f.add("dns", strings.ToLower(cell("dns.qry.name")), 1)
	}
	f.add("sni", strings.ToLower(cell("tls.handshake.extensions_server_name")), 1)
	if cell("tcp.srcport") != "" {
		f.add("ja3", cell("tls.handshake.ja3"), 1)
	}
	f.add("dhcp", cell("dhcp.option.request_list_item"), 1)
}
