package pipeline

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/report"
)

// delivery says where what shows a parser stands.
type delivery struct {
	room     string   // folder of internal/network/packet
	captures []string // of its testdata, without .pcap
	kind     string   // list of a report that its rows go to; empty: it only names flows
	fuzz     string   // target
	linear   string   // test
}

// delivered has every parser.
var delivered = map[string]delivery{
	"arp":       {"neighbor", []string{"arp"}, "neighbors", "FuzzFrame", "TestLinear"},
	"cdp":       {"lldp", []string{"announcements"}, "links", "FuzzFrame", "TestLinear"},
	"dhcp":      {"dhcp", []string{"dhcp4"}, "dhcp", "FuzzDHCP", "TestLinear"},
	"dhcpv6":    {"dhcp", []string{"dhcp6"}, "dhcp", "FuzzDHCP6", "TestLinear"},
	"dnp3":      {"industrial", []string{"dnp3"}, "industrial", "FuzzDNP3", "TestLinear"},
	"dns":       {"dns", []string{"dig"}, "dns", "FuzzStream", "TestStreamIsLinear"},
	"ftp":       {"ftp", []string{"ftp"}, "ftp", "FuzzStream", "TestLinear"},
	"http":      {"http", []string{"curl", "h2c", "pipelined"}, "http", "FuzzStream", "TestLinear"},
	"imap":      {"mail", []string{"imap"}, "mail", "FuzzIMAP", "TestLinear"},
	"lldp":      {"lldp", []string{"announcements"}, "links", "FuzzFrame", "TestLinear"},
	"llmnr":     {"dns", []string{"llmnr"}, "dns", "FuzzDatagram", "TestLinear"},
	"mdns":      {"dns", []string{"mdns"}, "dns", "FuzzDatagram", "TestLinear"},
	"modbus":    {"industrial", []string{"modbus"}, "industrial", "FuzzModbus", "TestLinear"},
	"nbns":      {"dns", []string{"nbns"}, "dns", "FuzzDatagram", "TestLinear"},
	"nd":        {"neighbor", []string{"nd"}, "neighbors", "FuzzFrame", "TestLinear"},
	"ntp":       {"ntp", []string{"ntpdate"}, "ntp", "FuzzNTP", "TestLinear"},
	"openvpn":   {"vpn", []string{"openvpn", "openvpn-auth", "openvpn-crypt", "openvpn-tcp"}, "", "FuzzRecognise", ""},
	"pop3":      {"mail", []string{"pop3"}, "mail", "FuzzPOP3", "TestLinear"},
	"quic":      {"quic", []string{"aioquic"}, "tls", "FuzzDatagram", "TestLinear"},
	"rdp":       {"rdp", []string{"xrdp"}, "rdp", "FuzzStream", "TestLinear"},
	"rtsp":      {"rtsp", []string{"rtsp", "play"}, "rtsp", "FuzzStream", "TestLinear"},
	"sip":       {"sip", []string{"tcp", "udp", "unanswered"}, "sip", "FuzzDatagrams", "TestLinear"},
	"smb":       {"smb", []string{"smb", "smb139"}, "smb", "FuzzSMB", "TestLinear"},
	"smtp":      {"mail", []string{"smtp"}, "mail", "FuzzSMTP", "TestLinear"},
	"snmp":      {"snmp", []string{"snmp"}, "snmp", "FuzzSNMP", "TestLinear"},
	"socks":     {"socks", []string{"dante", "password"}, "socks", "FuzzStream", "TestLinear"},
	"ssh":       {"ssh", []string{"openssh"}, "ssh", "FuzzStream", "TestLinear"},
	"telnet":    {"telnet", []string{"telnet"}, "telnet", "FuzzStream", "TestLinear"},
	"tls":       {"tls", []string{"curl", "mosquitto", "resumed12", "resumed13", "retry"}, "tls", "FuzzStream", "TestStreamLinear"},
	"wifi":      {"wifi", nil, "wifi_networks", "FuzzFrame", "TestLinear"},
	"wireguard": {"vpn", []string{"wireguard"}, "", "FuzzRecognise", ""},
}

// lacks says why a parser lacks something. What it has by now must not stand
// here.
var lacks = map[string]map[string]string{
	"wifi": {"a capture of a real program": "recording it takes a radio; the captures of others are read beside tshark, and the golden file is of frames that a test makes"},
	"openvpn": {
		"a test of linear time": "TestRecognitionIsLinear has it: it only names flows",
	},
	"wireguard": {
		"a test of linear time": "TestRecognitionIsLinear has it: it only names flows",
	},
}

// helpers are the folders of internal/network/packet that are no parser's.
var helpers = map[string]string{
	"packettest": "makes frames for tests",
	"parse":      "what parsers and the pipeline agree on",
	"remoteid":   "is read by wifi, and from Bluetooth",
}

// TestDelivered: a parser counts as delivered when it has a capture of a real
// program that make captures records, a golden file, a fuzz target with seeds
// of captures, a test of linear time, one of bounded memory (which
// TestParsersAreBounded is for all that have a capture), rows that pass through
// the wire format of a report, and its place in docs/parsers.md.
func TestDelivered(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(Parsers(), slices.Sorted(maps.Keys(delivered))); diff != "" {
		t.Fatalf("the parsers (-) and what stands here of them (+):\n%s", diff)
	}
	rooms := map[string]bool{}
	for name, d := range delivered {
		rooms[d.room] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			missing := d.missing(t, name)
			for _, what := range missing {
				if lacks[name][what] == "" {
					t.Errorf("the parser %s lacks %s", name, what)
				}
			}
			for what := range lacks[name] {
				if !slices.Contains(missing, what) {
					t.Errorf("the parser %s is said to lack %s, and has it", name, what)
				}
			}
		})
	}
	folders, err := os.ReadDir("../packet")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if f.IsDir() && !rooms[f.Name()] && helpers[f.Name()] == "" {
			t.Errorf("no parser of the pipeline is in internal/network/packet/%s", f.Name())
		}
	}
}

// missing lists what the parser lacks.
func (d delivery) missing(t *testing.T, name string) (all []string) {
	t.Helper()
	lack := func(has bool, what string) {
		if !has {
			all = append(all, what)
		}
	}
	tests := read(t, "../packet/"+d.room+"/*_test.go")
	lack(len(d.captures) > 0, "a capture of a real program")
	lack(defines(tests, d.fuzz, "testing.F"), "a fuzz target")
	lack(strings.Contains(tests, `.pcap`) || len(d.captures) == 0, "a fuzz target with seeds of captures")
	lack(defines(tests, d.linear, "testing.T") && strings.Contains(tests, "Linear(t, "), "a test of linear time")
	lack(len(d.captures) > 0 || defines(tests, "TestBounded", "testing.T"), "a test of bounded memory")
	lack(regexp.MustCompile(`(?m)^\| (TCP|UDP|frames) \|.*\b`+name+`\b`).MatchString(read(t, "../../../docs/parsers.md")), "a place in docs/parsers.md")
	scripts := read(t, "../../../bench/captures/*.sh")
	for _, c := range d.captures {
		path := filepath.Join("../packet", d.room, "testdata", c+".pcap")
		seen := open(t, path)
		lack(slices.Contains(wordsOf(scripts), c), "a script that records "+c)
		lack(seen.recognised[name] > 0, "flows in "+c)
		if d.kind == "" {
			lack(strings.Contains(read(t, "testdata/apps.txt"), fmt.Sprintf("%s/%s.pcap: 1 %s\n", d.room, c, name)), "a golden line for "+c)
			continue
		}
		lack(seen.rows[d.kind] > 0, "rows of "+c)
		lack(golden(t, path, d.kind), "a golden file for "+c)
	}
	return all
}

// wordsOf are the words of a script.
func wordsOf(text string) []string { return regexp.MustCompile(`[\w.-]+`).FindAllString(text, -1) }

// read joins the files.
func read(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

// defines reports whether the tests have the function.
func defines(tests, name, arg string) bool {
	return name != "" && regexp.MustCompile(`(?m)^func `+name+`\(\w+ \*`+regexp.QuoteMeta(arg)+`\)`).MatchString(tests)
}

// golden reports whether the golden file of a capture has rows of the kind.
func golden(t *testing.T, path, kind string) bool {
	t.Helper()
	b, err := os.ReadFile(strings.TrimSuffix(path, ".pcap") + ".json")
	if err != nil {
		return false
	}
	if kind == "dns" && b[0] == '[' { // rows alone
		return len(b) > 10
	}
	var lists map[string]json.RawMessage
	if err := json.NewDecoder(strings.NewReader(string(b))).Decode(&lists); err != nil {
		t.Fatalf("the golden file of %s: %v", path, err)
	}
	return len(lists[kind]) > 10
}

// opened is what a pipeline says of a capture.
type opened struct {
	recognised map[string]uint64 // flows, by parser
	rows       map[string]int    // by list of the report
}

// open reads a capture, and puts its reports through the wire format.
func open(t *testing.T, path string) opened {
	t.Helper()
	f, err := capture.OpenFile(t.Context(), path, capture.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := opened{map[string]uint64{}, map[string]int{}}
	p := New(Config{MaxFlows: 4096})
	err = ReadFile(t.Context(), f, p, func(r network.Report) error {
		b, err := report.Encode(&r)
		if err != nil {
			return fmt.Errorf("encoding: %w", err)
		}
		got, err := report.Decode(b, report.DefaultLimits())
		if err != nil {
			return fmt.Errorf("decoding: %w", err)
		}
		same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
		if diff := cmp.Diff(r.Records, got.Records, same) + cmp.Diff(r.DNS, got.DNS, same) + cmp.Diff(r.TLS, got.TLS, same); diff != "" {
			t.Errorf("%s: the wire format changes rows (-sent +got):\n%s", path, diff)
		}
		seen.rows["dns"] += len(got.DNS)
		seen.rows["tls"] += len(got.TLS)
		v := reflect.ValueOf(got.Records)
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			seen.rows[name] += v.Field(i).Len()
		}
		return nil
	})
	if err != nil {
		t.Errorf("%s: %v", path, err)
	}
	for _, c := range p.Counters().Parsers {
		seen.recognised[c.Name] += c.Recognised
	}
	return seen
}
