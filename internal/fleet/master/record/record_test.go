package record

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/fleet"
)

// TestTargetListIsSmall: what a job at 100,000 targets writes beside its
// returns is a few hundred KB, and comes back as it was.
func TestTargetListIsSmall(t *testing.T) {
	t.Parallel()
	ids := make([]fleet.PeelID, 100_000)
	for i := range ids {
		ids[i] = fleet.PeelID(fmt.Sprintf("%s-%s-%05d_example_com", []string{"web", "db", "app", "cache"}[i%4], []string{"eu1", "us2", "ap1"}[i%3], rand.IntN(100_000)))
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	chunks, err := packTargets(ids)
	if err != nil {
		t.Fatal(err)
	}
	var packed []byte
	written := 0
	for _, b := range chunks {
		var c chunk
		if err := json.Unmarshal(b, &c); err != nil {
			t.Fatal(err)
		}
		written += len(b)
		packed = append(packed, c.Deflate...)
	}
	if written > 400<<10 {
		t.Errorf("a list of %d targets takes %d bytes", len(ids), written)
	}
	back, err := unpackTargets(packed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ids, back); diff != "" {
		t.Error(diff)
	}
	t.Logf("%d targets in %d bytes", len(ids), written)
}
