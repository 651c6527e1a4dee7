package pipeline_test

import (
	"context"
	"maps"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/pipeline"
)

// seen is what a capture holds: names asked for, server names, fingerprints,
// Community IDs.
type seen struct{ DNS, SNI, JA3, DHCP, Community []string }

// more lists what a tap sees beyond tshark, by capture, and why.
var more = map[string]struct {
	seen
	why string
}{
	"ipv6-fragmented-dns.pcap": {
		seen{Community: []string{"1:T7FLk46u+6dChYPtvLg3ezdjuvY="}},
		"a last fragment whose first was not captured is a flow without ports; tshark names no protocol for it, and no ID",
	},
}

// fields are what tshark is asked for, in the order of the lists of seen.
var fields = []string{"dns.qry.name", "tls.handshake.extensions_server_name", "tls.handshake.ja3",
	"dhcp.option.request_list_item", "communityid"}

// sets are seen in the making.
type sets []map[string]bool

func newSets() sets {
	s := make(sets, len(fields))
	for i := range s {
		s[i] = map[string]bool{}
	}
	return s
}

func (s sets) add(i int, what string) {
	if what != "" {
		s[i][what] = true
	}
}

func (s sets) seen() seen {
	list := func(i int) []string { return slices.Sorted(maps.Keys(s[i])) }
	return seen{list(0), list(1), list(2), list(3), list(4)}
}

func ours(t *testing.T, path string) seen {
	t.Helper()
	f, err := capture.OpenFile(t.Context(), path, capture.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := newSets()
	// An error is TestCorpusLedger's business: what stands before it is compared.
	_ = pipeline.ReadFile(context.Background(), f, pipeline.New(pipeline.Config{MaxFlows: 4096}), func(r network.Report) error {
		for _, d := range r.DNS {
			if d.Via != network.ViaMDNS || !d.Answered { // an answer of mDNS repeats no question
				s.add(0, strings.ReplaceAll(d.Name, `\032`, " "))
			}
		}
		for _, h := range r.TLS {
			s.add(1, h.SNI)
			s.add(2, h.JA3)
		}
		for _, d := range r.DHCP {
			s.add(3, d.Fingerprint)
		}
		for _, f := range r.Flows {
			if f.Proto == network.TCP || f.Proto == network.UDP {
				s.add(4, flow.CommunityID(f.Source, f.Dest, f.SrcPort, f.DstPort, uint8(f.Proto), 0))
			}
		}
		return nil
	})
	return s.seen()
}

func theirs(t *testing.T, path string) seen {
	t.Helper()
	args := []string{"-n", "-r", path, "--enable-protocol", "communityid", "-2", "-R", "!icmp && !icmpv6 && (tcp || udp)",
		"-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-T", "fields", "-E", "separator=|"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	cmd := exec.Command("tshark", args...)
	var told strings.Builder
	cmd.Stderr = &told
	out, err := cmd.Output()
	if err != nil && !strings.Contains(told.String(), "cut short") { // what stands before a damaged end is compared
		t.Fatalf("tshark: %v: %s", err, told.String())
	}
	s := newSets()
	for line := range strings.Lines(string(out)) {
		for i, cell := range strings.Split(strings.TrimRight(line, "\n"), "|") {
			switch fields[i] {
			case "dhcp.option.request_list_item":
				s.add(i, cell)
			case "communityid":
				outermost, _, _ := strings.Cut(cell, ",")
				s.add(i, outermost)
			default:
				for name := range strings.SplitSeq(strings.ToLower(cell), ",") {
					s.add(i, strings.Replace(name, "<root>", ".", 1))
				}
			}
		}
	}
	return s.seen()
}

// TestCorpusAgainstTshark compares names, fingerprints and the Community IDs
// of TCP and UDP flows with what an independent reader finds in each capture.
func TestCorpusAgainstTshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed: the test compares with it")
	}
	if testing.Short() {
		t.Skip("a process for each capture takes a while")
	}
	found := seen{}
	for _, path := range corpus(t) {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			want, got := theirs(t, path), ours(t, path)
			found = found.and(got)
			if diff := cmp.Diff(want.and(more[name].seen), got); diff != "" {
				t.Errorf("-tshark +ours: %s\nmore is expected: %+v", diff, more[name])
			}
		})
	}
	if v := reflect.ValueOf(found); !t.Failed() {
		for i := range v.NumField() {
			if v.Field(i).Len() == 0 {
				t.Errorf("no %s in any capture: nothing was compared", v.Type().Field(i).Name)
			}
		}
	}
}

// and is both, each list sorted and without what is there twice.
func (s seen) and(o seen) seen {
	out := newSets()
	for _, one := range []seen{s, o} {
		for i, list := range [][]string{one.DNS, one.SNI, one.JA3, one.DHCP, one.Community} {
			for _, what := range list {
				out.add(i, what)
			}
		}
	}
	return out.seen()
}
