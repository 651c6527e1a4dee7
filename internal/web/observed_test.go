package web_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network/ingest"
	"github.com/rind-project/rind/internal/network/store"
)

// TestChartBeginsWithTheFirstTap holds that time before anything looked is not
// told as time without traffic: neither in the chart nor in the average.
func TestChartBeginsWithTheFirstTap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now()
	w.taps.taps = []ingest.TapInfo{{Name: "new", Created: now.Add(-20 * time.Minute), LastReport: &now}}
	for i := range 60 { // the store gives every bucket, those without traffic too
		p := store.TrafficPoint{Time: now.Truncate(time.Minute).Add(time.Duration(i-59) * time.Minute)}
		if i >= 45 {
			p.Bytes, p.Packets, p.Flows = 10e6, 10_000, 10
		}
		w.traffic.points = append(w.traffic.points, p)
	}
	c := w.as(t, "the-viewer")
	_, page, _ := c.get("/")
	if !strings.Contains(page, `data-span="1200"`) {
		t.Errorf("the chart is not of the 20 minutes that are known: %.200s", after(page, `id="traffic" `))
	}
	if seen := text(t, page); !strings.Contains(seen, "1.00 Mbit/s on average over 20 min") {
		t.Errorf("the average is not over the time that is known: %.200s", after(seen, "Traffic "))
	}
	// What was read from an older capture belongs to it.
	w.traffic.points[9].Bytes, w.traffic.points[9].Packets = 1, 1
	if _, page, _ = c.get("/"); strings.Contains(page, `data-span="1200"`) {
		t.Error("older traffic is cut off")
	}
	// A range that was asked for is shown as it was asked for.
	from := now.Add(-40 * time.Minute).UTC()
	if _, page, _ = c.get("/?from=" + from.Format("2006-01-02T15:04") + "&to=" + now.UTC().Format("2006-01-02T15:04")); !strings.Contains(page, `data-span="2400"`) {
		t.Errorf("a fixed range is cut: %.200s", after(page, `id="traffic" `))
	}
}

func after(s, mark string) string {
	_, rest, _ := strings.Cut(s, mark)
	return rest
}
