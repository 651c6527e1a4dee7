package fleettest

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Eventually asks until fn has no complaint, for a time that is long only when
// it fails.
func Eventually(t testing.TB, what string, fn func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = fn(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// Counter reads a counter or a gauge, with the value of its only label; 0 is
// one that is not there.
func Counter(t testing.TB, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, s := range f.GetMetric() {
			if label == "" || len(s.GetLabel()) == 1 && s.GetLabel()[0].GetValue() == label {
				return s.GetCounter().GetValue() + s.GetGauge().GetValue()
			}
		}
	}
	return 0
}
