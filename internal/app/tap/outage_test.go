package tap

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestOutage keeps the node down for the time of 60 reports and kills the tap
// twice meanwhile: every report that was spooled arrives once, in order. With
// RIND_NIGHTLY=1 that is ten minutes at a report every ten seconds.
func TestOutage(t *testing.T) {
	t.Parallel()
	interval := 100 * time.Millisecond
	if os.Getenv("RIND_NIGHTLY") == "1" {
		interval = 10 * time.Second
	}
	node := newNode(t)
	dir := t.TempDir()
	data, conf := filepath.Join(dir, "data"), filepath.Join(dir, "tap.yaml")
	text := fmt.Sprintf("interfaces: [lo]\nreport: {interval: %s}\nnode: {urls: [\"http://%s\"], token: %s}\n", interval, node.addr, node.token)
	waiting := func(r *running, reports uint64) {
		t.Helper()
		for end := time.Now().Add(time.Minute + 3*time.Duration(reports)*interval); ; time.Sleep(20 * time.Millisecond) {
			s, err := r.status()
			if err == nil && s.Spool.Reports >= reports {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%d reports do not wait in the spool: %+v, %v", reports, s.Spool, err)
			}
		}
	}
	for _, reports := range []uint64{20, 40} {
		r := startTap(t, data, conf, text)
		waiting(r, reports)
		r.kill()
	}
	r := startTap(t, data, conf, text)
	waiting(r, 60)
	if reports := node.got(); len(reports) != 0 {
		t.Fatalf("%d reports arrived while the node was down", len(reports))
	}
	node.up()
	s := r.want("the spool is empty", func(s *Status) bool { return s.Spool.Reports == 0 && s.Delivery.Committed >= 60 })
	if s.Spool.Dropped != 0 || s.Spool.Lost != 0 || s.Spool.Quarantined != 0 || s.Delivery.Retries == 0 {
		t.Errorf("the status is %+v", s)
	}
	r.stop()
	order(t, node.got(), 3)
	if node.again != 0 {
		t.Errorf("%d reports came twice", node.again)
	}
	left, err := filepath.Glob(filepath.Join(data, "spool", "*.report"))
	if err != nil || len(left) != 0 {
		t.Errorf("reports stay in the spool: %v, %v", left, err)
	}
}

// TestKilledWhileDelivering kills the tap in the middle of a delivery again and
// again: a report may come a second time, as the same one, and none is missing.
func TestKilledWhileDelivering(t *testing.T) {
	t.Parallel()
	node := newNode(t)
	node.up()
	dir := t.TempDir()
	data, conf := filepath.Join(dir, "data"), filepath.Join(dir, "tap.yaml")
	text := fmt.Sprintf("interfaces: [lo]\nreport: {interval: 100ms}\nnode: {urls: [\"http://%s\"], token: %s}\n", node.addr, node.token)
	for n := range 3 {
		r := startTap(t, data, conf, text)
		until(t, "reports arrive", func() error {
			if got := len(node.got()); got < 5*(n+1) {
				return fmt.Errorf("%d reports arrived:\n%s", got, r.out)
			}
			return nil
		})
		r.kill()
	}
	r := startTap(t, data, conf, text)
	r.want("the spool is empty", func(s *Status) bool { return s.Spool.Reports == 0 && s.Delivery.Committed > 0 })
	r.stop()
	order(t, node.got(), 4)
}
