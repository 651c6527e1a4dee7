package bus

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

func TestMergeReplicas(t *testing.T) {
	t.Parallel()
	want := jetstream.StreamConfig{Replicas: 3, Metadata: map[string]string{metaReplicas: "3"}}
	tests := []struct {
		name     string
		have     int
		noted    string
		replicas int
		note     string
	}{
		{"ours, the cluster grew", 1, "1", 3, "3"},
		{"ours, unchanged", 3, "3", 3, "3"},
		{"the operator's", 2, "1", 2, "1"},
		{"the operator's, back to less", 1, "3", 1, "3"},
		{"never noted", 1, "", 1, ""},
	}
	for _, tt := range tests {
		have := jetstream.StreamConfig{Replicas: tt.have, Metadata: map[string]string{metaReplicas: tt.noted, "owner": "ops"}}
		next := merge(have, want)
		if next.Replicas != tt.replicas || next.Metadata[metaReplicas] != tt.note || next.Metadata["owner"] != "ops" {
			t.Errorf("%s: %d replicas, noted %q", tt.name, next.Replicas, next.Metadata[metaReplicas])
		}
	}
}

func TestShrinkFitsIntoTheLimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []int64{-1, 0, 200 << 20, 1 << 30, 10 << 30, 1 << 40} {
		var specs []jetstream.StreamConfig
		for _, b := range Buckets() {
			specs = append(specs, b.StreamConfig(1))
		}
		shrink(specs, jetstream.FileStorage, limit)
		var sum, memory int64
		for _, s := range specs {
			if s.Storage == jetstream.MemoryStorage {
				memory += s.MaxBytes
				continue
			}
			sum += s.MaxBytes
			if s.MaxBytes < 1<<20 {
				t.Errorf("limit %d: %s has %d bytes", limit, s.Name, s.MaxBytes)
			}
		}
		if limit > 0 && sum > limit {
			t.Errorf("limit %d: the buckets reserve %d", limit, sum)
		}
		if memory != 64<<20 {
			t.Errorf("limit %d: memory was touched too: %d", limit, memory)
		}
	}
}

func TestLastingIsWhatIsNotRemade(t *testing.T) {
	t.Parallel()
	got := lasting()
	if len(got) != 11 || len(keepers()) != 11 {
		t.Errorf("lasting: %v", got)
	}
}
