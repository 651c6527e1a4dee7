package tap

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/packettest"
	"github.com/rind-project/rind/internal/network/pipeline"
)

// TestListsServeAgain: the live tap's reports lie in the memory of the one
// before the last, never of the last, and say what they say without that.
func TestListsServeAgain(t *testing.T) {
	t.Parallel()
	mix := packettest.Mix(11, 6000)
	run := func(reuse bool) (texts []string, again int) {
		s := &station{}
		w := newWorker(0, "eth0", Capture{Workers: 1}, DefaultConfig().Flow, slog.New(slog.DiscardHandler), make(chan struct{}, 1))
		w.pipe = pipeline.New(pipeline.Config{Interface: "eth0", MaxFlows: 4096})
		s.workers = []*worker{w}
		var before, last *network.Flow
		for i, f := range mix {
			w.pipe.Packet(f.Time, packet.LinkEthernet, f.Data, len(f.Data))
			if i%600 != 599 {
				continue
			}
			r := asked(t, s)
			texts = append(texts, sorted(t, r.Flows)+sorted(t, r.DNS)+sorted(t, r.TLS)+sorted(t, r.HTTP)+sorted(t, r.Neighbors))
			if at := &r.Flows[0]; at == last {
				t.Error("a report lies where the last one does, which may still be read")
			} else if at == before {
				again++
			}
			before, last = last, &r.Flows[0]
			if !reuse {
				w.used = network.Report{}
			}
		}
		return texts, again
	}
	want, none := run(false)
	got, again := run(true)
	if none != 0 || again < len(mix)/600/2 {
		t.Errorf("of %d reports %d lie in memory that was used, and %d where nothing is used again", len(got), again, none)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("report %d of %d bytes differs from the one of %d bytes in new memory", i, len(got[i]), len(want[i]))
		}
	}
}

// sorted is the rows as text, in an order that is not the hash's.
func sorted[T any](t *testing.T, rows []T) string {
	t.Helper()
	lines := make([]string, len(rows))
	for i, row := range rows {
		text, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		lines[i] = string(text)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// asked collects the report of a station while its worker is idle.
func asked(t *testing.T, s *station) network.Report {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	idle := make(chan struct{})
	go func() { defer close(idle); s.workers[0].idle(ctx) }()
	parts, ok := (&Tap{}).collect(ctx, []*station{s})
	cancel()
	<-idle
	if !ok || len(parts) != 1 || len(parts[0].Flows) == 0 {
		t.Fatalf("%d reports came, ok %v", len(parts), ok)
	}
	parts[0].Start, parts[0].End = time.Time{}, time.Time{}
	return parts[0]
}
