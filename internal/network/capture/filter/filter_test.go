package filter

import (
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
)

// TestMistakes: every error names the column and what is wrong there.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		"tcp prt 80":                            "column 5: \"prt\" is no address",
		"foo":                                   "column 1: unknown word \"foo\"",
		"port":                                  "column 5: the end stands where a port should be",
		"port and":                              "column 6: \"and\" stands where a port should be",
		"port 65536":                            "column 6: \"65536\" is no port",
		"port nosuchservice":                    "column 6: \"nosuchservice\" is no port",
		"portrange 80":                          "column 11: \"80\" is no range",
		"tcp and":                               "column 8: the filter ends",
		"and tcp":                               "column 1: unknown word \"and\"",
		"tcp udp":                               "column 5: \"udp\" stands where and, or or the end",
		"(tcp or udp":                           "column 12: the end stands where the parenthesis of column 1",
		"tcp)":                                  "column 4: \")\" stands where",
		"host example.com":                      "column 6: \"example.com\" is no address; names are not looked up",
		"host 10.1":                             "write the whole one, or net 10.1",
		"host 10.0.0.0/8":                       "column 14: a network has a prefix length",
		"net 10.0.0.1/8":                        "column 5: \"10.0.0.1\" has bits outside of its mask; the network is 10.0.0.0",
		"net 10.0.0.0/33":                       "column 14: \"33\" is no prefix length of IPv4",
		"net 2001:db8::1/32":                    "the network is 2001:db8::/32",
		"ip host ::1":                           "IPv6 address; ip takes none",
		"ip6 host 10.0.0.1":                     "IPv4 address; ip6 takes none",
		"tcp host 10.0.0.1":                     "write \"tcp and host 10.0.0.1\"",
		"host 02:00:00:00:00:01":                "write \"ether host 02:00:00:00:00:01\"",
		"ether host 10.0.0.1":                   "is no hardware address",
		"ip port 80":                            "ip has no ports",
		"vlan 4096":                             "column 6: 4096 is no VLAN id",
		"mpls 1048576":                          "is no MPLS label",
		"mpls and arp":                          "column 10: behind an MPLS label",
		"mpls and vlan":                         "column 10: a VLAN tag behind",
		"ip broadcast":                          "needs the network's mask",
		"less x":                                "column 6: after less a number",
		"len":                                   "column 4: the end stands where numbers should be compared",
		"tcp[13 = 2":                            "column 8: \"=\" stands where the bracket should be closed",
		"tcp[0:3] = 1":                          "column 7: \"3\" bytes cannot be read at once",
		"foo[1] = 2":                            "column 1: \"foo\" has no bytes",
		"ip[0] / 0 = 1":                         "division by zero",
		"ip[0] << 32 = 1":                       "a shift by 32",
		"tcp $ udp":                             "column 5: \"$\" means nothing",
		"ip proto nosuch":                       "column 10: \"nosuch\" is no IP protocol",
		"ether proto nosuch":                    "is no EtherType",
		"src proto 6":                           "a protocol has no src",
		"80":                                    "unknown word \"80\"",
		strings.Repeat("(", 200):                "nest deeper than",
		strings.Repeat("not ", 200):             "nest deeper than",
		strings.Repeat("tcp or ", 2000) + "tcp": "the limit is",
	} {
		_, err := Compile(expr, Options{Link: packet.LinkEthernet})
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v; want %q", expr, err, want)
		}
	}
	if _, err := Compile("tcp", Options{Link: packet.LinkRadiotap}); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "link type") {
		t.Errorf("802.11: %v", err)
	}
	if p, err := Compile("", Options{Link: packet.LinkRadiotap, Snaplen: 60}); err != nil || len(p.Instructions()) == 0 {
		t.Errorf("802.11 without a filter: %v", err)
	}
}

// TestLiveTag takes the outer tag out of frames as the kernel does: the
// program for a socket has to select the same of them.
func TestLiveTag(t *testing.T) {
	t.Parallel()
	mix := packettest.Mix(5, 4000)
	for _, expr := range []string{
		"vlan", "vlan 7", "vlan and tcp", "vlan and port 53", "vlan and udp dst port 53", "vlan and ip6", "vlan and host 10.0.0.1", "vlan and tcp[13] & 2 != 0",
		"vlan and net 198.51.0.0/16 and tcp port 443", "vlan and ether src 02:00:00:00:00:01", "vlan and ip[0] & 0xf = 5", "vlan and vlan", "vlan and vlan and tcp",
		"vlan and tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420", "vlan and portrange 1-1024", "vlan and icmp6",
	} {
		file, err := Compile(expr, Options{Link: packet.LinkEthernet})
		if err != nil {
			t.Fatal(err)
		}
		live, err := Compile(expr, Options{Link: packet.LinkEthernet, Live: true})
		if err != nil {
			t.Fatal(err)
		}
		selected := 0
		for i, f := range mix {
			b := f.Data
			if i%10 == 3 && len(b) > 14 { // a tag that was not outermost
				b = append(append(append([]byte{}, b[:12]...), 0x88, 0xa8, 0, 99), b[12:]...)
			}
			want := file.Match(b, len(b))
			if want {
				selected++
			}
			if got := run(live.code, b, len(b), aux{}) != 0; got != want {
				t.Fatalf("%q, tag in the frame: live selects %v, want %v: %x", expr, got, want, b[:min(len(b), 60)])
			}
			if len(b) < 18 || b[12] != 0x81 && b[12] != 0x88 || b[13] != 0 && b[13] != 0xa8 {
				continue
			}
			bare := append(append([]byte{}, b[:12]...), b[16:]...)
			x := aux{tagged: true, tag: uint16(b[14])<<8 | uint16(b[15])}
			if got := run(live.code, bare, len(bare), x) != 0; got != want {
				t.Fatalf("%q, tag taken out: live selects %v, want %v: %x", expr, got, want, b[:min(len(b), 60)])
			}
		}
		if selected == 0 && expr != "vlan and vlan and tcp" && expr != "vlan and host 10.0.0.1" {
			t.Logf("%q selects nothing here", expr)
		}
	}
}

// TestMachine runs programs on our machine and on the one of x/net/bpf.
func TestMachine(t *testing.T) {
	t.Parallel()
	mix := packettest.Mix(6, 500)
	for _, expr := range []string{"tcp port 80", "udp or icmp6", "net 10.0.0.0/8 and not port 443", "vlan and ip", "ip[2:2] - ((ip[0] & 0xf) << 2) > 20",
		"len > 100", "tcp[13] & 2 != 0 or icmp", strings.TrimSuffix(strings.Repeat("host 192.0.2.77 or ", 60), "or ") + " or udp"} {
		p, err := Compile(expr, Options{Link: packet.LinkEthernet, Snaplen: 77})
		if err != nil {
			t.Fatal(err)
		}
		code, ok := bpf.Disassemble(p.Instructions())
		if !ok {
			t.Fatalf("%q: not every instruction is known", expr)
		}
		vm, err := bpf.NewVM(code)
		if err != nil {
			t.Fatalf("%q: %v", expr, err)
		}
		for _, f := range mix {
			want, err := vm.Run(f.Data)
			if err != nil {
				t.Fatal(err)
			}
			if got := run(p.code, f.Data, len(f.Data), aux{}); got != uint32(want) && min(got, uint32(len(f.Data))) != uint32(want) {
				t.Fatalf("%q: ours returns %d, x/net/bpf %d", expr, got, want)
			}
		}
	}
}

// TestLongJumps makes a program with jumps of more than 255 instructions.
func TestLongJumps(t *testing.T) {
	t.Parallel()
	var terms []string
	for i := range 200 {
		terms = append(terms, "src host 10.9.0."+string(rune('0'+i%10)))
	}
	expr := "tcp and (" + strings.Join(terms, " or ") + " or dst port 80)"
	p, err := Compile(expr, Options{Link: packet.LinkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := Compile("tcp and dst port 80", Options{Link: packet.LinkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	some := 0
	for _, f := range packettest.Mix(7, 2000) {
		want := plain.Match(f.Data, len(f.Data))
		if want {
			some++
		}
		if len(f.Data) > 60 && p.Match(f.Data, len(f.Data)) != want {
			t.Fatalf("selected: %v, want %v: %x", !want, want, f.Data[:60])
		}
	}
	if len(p.code) < 500 || some == 0 {
		t.Errorf("%d instructions, %d packets", len(p.code), some)
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	p, err := Compile("tcp port 80 or (vlan and udp)", Options{Link: packet.LinkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	mix := packettest.Mix(8, 200)
	if n := testing.AllocsPerRun(20, func() {
		for _, f := range mix {
			p.Match(f.Data, len(f.Data))
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzCompile checks that no text makes the compiler panic or write a program
// that x/net/bpf (which checks as the kernel does) would not take, and that no
// packet makes the program panic.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{"tcp port 80 or 443", "vlan 7 and ip6 net 2001:db8::/32", "tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420", "not (host 10.0.0.1 and len < 5)", "mpls 5 and ip"} {
		f.Add(s, []byte("\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00\x45\x00"), true)
	}
	f.Fuzz(func(t *testing.T, expr string, data []byte, live bool) {
		p, err := Compile(expr, Options{Link: packet.LinkEthernet, Live: live})
		if err != nil {
			return
		}
		p.Match(data, len(data))
		code, ok := bpf.Disassemble(p.Instructions())
		if !ok {
			t.Fatalf("%q: not every instruction is known", expr)
		}
		if live {
			return // it reads what only a kernel has
		}
		if _, err := bpf.NewVM(code); err != nil {
			t.Errorf("%q: %v", expr, err)
		}
	})
}
