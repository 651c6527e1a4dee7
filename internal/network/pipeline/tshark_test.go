package pipeline_test

import (
	"context"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/pipeline"
)

// differs lists the captures in which tshark sees something else, and why.
var differs = map[string]string{
	"vxlan-decoder-03__vxlan.pcap":                 "tunnels are a later issue",
	"bug-5633-gre-02__gre-sample.pcap":             "tunnels are a later issue",
	"mixed-vlan-mpls.pcap":                         "MPLS is a later issue",
	"ja4-quic__input.pcap":                         "QUIC's ClientHello is a later issue",
	"quic-frag-unordered__input.pcap":              "QUIC's ClientHello is a later issue",
	"quicv2-http3-443.pcap":                        "QUIC's ClientHello is a later issue",
	"quic-multiple-initial-fragmented-crypto.pcap": "QUIC's ClientHello is a later issue",
	"chromium-115.0.5790.110-api-cirrus-com.pcap":  "QUIC's ClientHello is a later issue",
	"dtls1_2.pcap":                                 "DTLS is a later issue",
	"ipv6-fragmented-dns.pcap":                     "one fragment's first was not captured: a flow without ports here, nothing there",
	"mdns.pcap":                                    "mDNS is a later issue",
}

// seen is what a capture holds: names asked for, server names, Community IDs.
type seen struct{ DNS, SNI, Community []string }

func sorted(m map[string]bool) []string { return slices.Sorted(maps.Keys(m)) }

func ours(t *testing.T, path string) seen {
	t.Helper()
	f, err := capture.OpenFile(t.Context(), path, capture.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dns, sni, id := map[string]bool{}, map[string]bool{}, map[string]bool{}
	pipeline.ReadFile(context.Background(), f, pipeline.New(pipeline.Config{MaxFlows: 4096}), func(r network.Report) error {
		for _, d := range r.DNS {
			dns[d.Name] = true
		}
		for _, h := range r.TLS {
			if h.SNI != "" {
				sni[h.SNI] = true
			}
		}
		for _, f := range r.Flows {
			if f.Proto == network.TCP || f.Proto == network.UDP {
				id[flow.CommunityID(f.Source, f.Dest, f.SrcPort, f.DstPort, uint8(f.Proto), 0)] = true
			}
		}
		return nil
	})
	return seen{sorted(dns), sorted(sni), sorted(id)}
}

func theirs(t *testing.T, path string) seen {
	t.Helper()
	out, err := exec.Command("tshark", "-n", "-r", path, "--enable-protocol", "communityid", "-2",
		"-R", "!icmp && !icmpv6 && (tcp || udp)", "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE",
		"-T", "fields", "-E", "separator=|", "-e", "dns.qry.name", "-e", "tls.handshake.extensions_server_name",
		"-e", "communityid").Output()
	if err != nil {
		t.Skipf("tshark: %v", err)
	}
	dns, sni, id := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(string(out)) {
		cells := strings.Split(strings.TrimRight(line, "\n"), "|")
		for i, set := range []map[string]bool{dns, sni, id} {
			first, _, _ := strings.Cut(cells[i], ",")
			if first = strings.ToLower(first); i == 2 {
				first = cells[i]
			}
			if first == "<root>" {
				first = "."
			}
			if first != "" {
				set[first] = true
			}
		}
	}
	return seen{sorted(dns), sorted(sni), sorted(id)}
}

// TestCorpusAgainstTshark compares the names, server names and Community IDs
// of TCP and UDP flows with what an independent reader finds in each capture.
func TestCorpusAgainstTshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed: the test compares with it")
	}
	if testing.Short() {
		t.Skip("a process for each capture takes a while")
	}
	for _, path := range corpus(t) {
		if strings.Contains(path, "aircrack") || strings.Contains(path, "wlanmon") || strings.Contains(path, "radiotap") {
			continue // 802.11 is a later issue
		}
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			if why := differs[name]; why != "" {
				t.Skip(why)
			}
			if diff := cmp.Diff(theirs(t, path), ours(t, path)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
