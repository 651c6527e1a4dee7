package pipeline

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
)

// TestReuse: reports that are written into the lists of those before say the
// same, and take little new memory.
func TestReuse(t *testing.T) {
	t.Parallel()
	mix := packettest.Mix(11, 6000)
	run := func(reuse bool) (reports []string, kept int) {
		p := New(Config{MaxFlows: 4096})
		var last *network.Flow
		for i, f := range mix {
			p.Packet(f.Time, packet.LinkEthernet, f.Data, len(f.Data))
			if i%600 != 599 {
				continue
			}
			r := p.Cut(time.Unix(0, f.Time))
			if len(r.Flows) == 0 {
				t.Fatal("a report without flows")
			}
			if &r.Flows[0] == last {
				kept++
			}
			last = &r.Flows[0]
			text, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			reports = append(reports, string(text))
			if reuse {
				p.Reuse(&r)
			}
		}
		return reports, kept
	}
	want, none := run(false)
	got, kept := run(true)
	if none != 0 || kept < len(mix)/600/2 {
		t.Errorf("of %d reports %d lie where the one before did, and %d where nothing is used again", len(got), kept, none)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("report %d is\n%s\nwant\n%s", i, got[i], want[i])
		}
	}
}

// TestOddReportHoldsNoMemory: the list of a report with far more rows than the
// next is not kept.
func TestOddReportHoldsNoMemory(t *testing.T) {
	t.Parallel()
	p := New(Config{})
	r := network.Report{Flows: make([]network.Flow, 10, 100_000), DNS: make([]network.DNSQuery, 10, 100_000)}
	p.Reuse(&r)
	if cap(p.spare) > 1000 || cap(p.out.DNS) > 1000 {
		t.Errorf("room for %d flows and %d questions is kept", cap(p.spare), cap(p.out.DNS))
	}
}
