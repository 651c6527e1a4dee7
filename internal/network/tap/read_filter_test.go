package tap

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/rind-project/rind/internal/network"
)

// TestReadFilter reads a file twice, with a filter and with its opposite, and
// replays it fast: what one leaves out the other has.
func TestReadFilter(t *testing.T) {
	t.Parallel()
	path, _ := writePcap(t, "mix.pcap", spread(5, 2000))
	received := func(expr string, speed float64) (sum network.Ledger) {
		var out bytes.Buffer
		if err := ReadFiles(t.Context(), []string{path}, ReadOptions{Out: &out, JSON: true, Filter: expr, Speed: speed}); err != nil {
			t.Fatal(err)
		}
		for d := json.NewDecoder(&out); d.More(); {
			var r network.Report
			if err := d.Decode(&r); err != nil {
				t.Fatal(err)
			}
			for i := range r.Flows {
				if f := &r.Flows[i]; expr == "tcp" && f.Proto != network.TCP {
					t.Errorf("%q lets %+v in", expr, f)
				}
			}
			add(&sum, r.Interfaces[0])
		}
		if !sum.Balanced() {
			t.Errorf("%q: %+v", expr, sum)
		}
		return sum
	}
	all, tcp, rest, replayed := received("", 0), received("tcp", 0), received("not tcp", 0), received("tcp", 600)
	// A packet that ends before a byte that a filter wants is selected by neither.
	if tcp.Received == 0 || rest.Received == 0 || tcp.Received+rest.Received > all.Received || tcp.Received+rest.Received+20 < all.Received {
		t.Errorf("%d tcp, %d others, of %d", tcp.Received, rest.Received, all.Received)
	}
	if replayed != tcp {
		t.Errorf("replayed %+v, read %+v", replayed, tcp)
	}
	err := ReadFiles(t.Context(), []string{path}, ReadOptions{Out: &bytes.Buffer{}, Filter: "tcp prt 80"})
	if err == nil || !strings.Contains(err.Error(), "column 5") {
		t.Errorf("%v", err)
	}
}
