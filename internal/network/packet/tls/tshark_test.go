package tls_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet/parse/parsetest"
)

// TestAgainstTshark compares server names, JA3 and JA3S with those that tshark
// finds, in captures of real browsers and programs. (In zeek's hrr.pcap a
// segment is missing.)
func TestAgainstTshark(t *testing.T) {
	t.Parallel()
	files := map[string]uint16{
		"zeek/tls/chrome-1250-tls-x25519-kyber.pcap": 443, "zeek/tls/chrome-34-google.pcap": 443,
		"zeek/tls/ml-dsa-44-cert.pcap":        443,
		"suricata-verify/ja4-tls__input.pcap": 443, "suricata-verify/ja4-rules__input.pcap": 443,
		"suricata-verify/tls__tls13-draft28__tls13_draft28.pcap": 4433,
	}
	for name, port := range captures {
		files[name+".pcap"] = port
	}
	for name, port := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join("testdata", name)
			if strings.Contains(name, "/") {
				path = parsetest.Corpus(t, name)
			}
			type seen struct{ SNI, JA3, JA3S map[string]bool }
			want := seen{map[string]bool{}, map[string]bool{}, map[string]bool{}}
			for _, row := range parsetest.Tshark(t, path, fmt.Sprintf("tcp.port==%d,tls", port), "tcp && (tls.handshake.type == 1 || tls.handshake.type == 2)",
				"tls.handshake.extensions_server_name", "tls.handshake.ja3", "tls.handshake.ja3s") {
				want.SNI[strings.ToLower(row[0])] = true
				want.JA3[row[1]] = true
				want.JA3S[row[2]] = true
			}
			got := seen{map[string]bool{"": true}, map[string]bool{"": true}, map[string]bool{"": true}}
			want.SNI[""], want.JA3[""], want.JA3S[""] = true, true, true
			for _, c := range parsetest.Conversations(t, path, network.TCP, port) {
				out := parsetest.NewOut()
				_ = parsetest.Run(newStream(), out, c, nil) // some captures end within the handshake
				for _, h := range out.TLS {
					got.SNI[h.SNI], got.JA3[h.JA3], got.JA3S[h.JA3S] = true, true, true
				}
			}
			show := func(s seen) [3][]string {
				return [3][]string{slices.Sorted(maps.Keys(s.SNI)), slices.Sorted(maps.Keys(s.JA3)), slices.Sorted(maps.Keys(s.JA3S))}
			}
			if diff := cmp.Diff(show(want), show(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
