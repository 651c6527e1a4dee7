package rollout_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/master/rollout"
)

func share(t *testing.T, s string) fleet.Share {
	t.Helper()
	v, err := fleet.ParseShare(s, true)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestPlans(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		layout fleet.Rollout
		hosts  int
		ends   []int
		window int
	}{
		"all at once":           {fleet.Rollout{}, 10, []int{10}, 10},
		"one host":              {fleet.Rollout{Batch: share(t, "1%")}, 1, []int{1}, 1},
		"batches":               {fleet.Rollout{Batch: share(t, "4")}, 10, []int{4, 8, 10}, 10},
		"batches by share":      {fleet.Rollout{Batch: share(t, "25%")}, 10, []int{3, 6, 9, 10}, 10},
		"a window":              {fleet.Rollout{Concurrency: share(t, "10%")}, 55, []int{55}, 6},
		"a canary":              {fleet.Rollout{Canary: 2}, 10, []int{2, 10}, 10},
		"more canaries":         {fleet.Rollout{Canary: 20}, 10, []int{10}, 10},
		"a canary and batches":  {fleet.Rollout{Canary: 1, Batch: share(t, "50%")}, 9, []int{1, 6, 9}, 9},
		"slices":                {fleet.Rollout{Slices: 4}, 100, []int{10, 30, 60, 100}, 100},
		"more slices than host": {fleet.Rollout{Slices: 20}, 5, []int{1, 2, 3, 4, 5}, 5},
	}
	for name, tt := range tests {
		p, err := rollout.New(tt.layout, tt.hosts)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(p.Ends, tt.ends) || p.Window != tt.window {
			t.Errorf("%s: ends %v, window %d; want %v, %d", name, p.Ends, p.Window, tt.ends, tt.window)
		}
		order := p.Order(job.NewJID(), tt.hosts)
		slices.Sort(order)
		for i, at := range order {
			if int(at) != i {
				t.Fatalf("%s: the order is no permutation: %v", name, order)
			}
		}
	}
	for name, r := range map[string]fleet.Rollout{
		"slices and batches": {Slices: 2, Batch: share(t, "2")}, "pause alone": {Pause: true}, "slice_pause alone": {SlicePause: time.Second},
		"below zero": {Canary: -1}, "too many slices": {Slices: rollout.MaxSlices + 1}, "a long pause": {Slices: 2, SlicePause: 48 * time.Hour},
	} {
		if _, err := rollout.New(r, 10); errs.KindOf(err) != errs.Invalid && errs.KindOf(err) != errs.TooLarge {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEverySliceOfEverySize: whatever the numbers, the waves are not empty and
// cover all hosts, and each is at least about as large as the one before.
func TestEverySliceOfEverySize(t *testing.T) {
	t.Parallel()
	for hosts := 1; hosts < 300; hosts += 7 {
		for n := 1; n < 40; n++ {
			p, err := rollout.New(fleet.Rollout{Slices: n}, hosts)
			if err != nil {
				t.Fatal(err)
			}
			last, size := 0, 0
			for _, end := range p.Ends {
				if end-last < size-1 || end <= last {
					t.Fatalf("%d hosts in %d slices: %v", hosts, n, p.Ends)
				}
				size, last = end-last, end
			}
			if last != hosts || len(p.Ends) != min(n, hosts) {
				t.Fatalf("%d hosts in %d slices: %v", hosts, n, p.Ends)
			}
		}
	}
}

// TestLife: a job that goes out in waves lives until the last one can have
// ended, and one that waits for people a day.
func TestLife(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		layout  fleet.Rollout
		timeout time.Duration
		want    time.Duration
	}{
		"at once":      {fleet.Rollout{}, 10 * time.Second, job.MaxSkew},
		"a long one":   {fleet.Rollout{}, time.Hour, time.Hour},
		"ten batches":  {fleet.Rollout{Batch: share(t, "10")}, time.Minute, job.MaxSkew + 9*time.Minute},
		"five at once": {fleet.Rollout{Concurrency: share(t, "5")}, time.Minute, job.MaxSkew + 19*time.Minute},
		"with people":  {fleet.Rollout{Canary: 1, Pause: true}, time.Minute, rollout.LongLife},
		"very many":    {fleet.Rollout{Batch: share(t, "1")}, time.Hour, rollout.LongLife},
	}
	for name, tt := range tests {
		p, err := rollout.New(tt.layout, 100)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, p.Life(tt.timeout)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestVerdicts: a canary that fails keeps the job from the others, and so does
// a slice of which more than a tenth fail.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		layout         fleet.Rollout
		wave, failures int
		want           string
	}{
		"a healthy canary":             {fleet.Rollout{Canary: 5}, 1, 0, ""},
		"a canary that fails":          {fleet.Rollout{Canary: 5}, 1, 1, "1 of 5 canaries failed or did not answer"},
		"a canary that may fail":       {fleet.Rollout{Canary: 5, MaxFailures: share(t, "3")}, 1, 1, ""},
		"a canary to be looked at":     {fleet.Rollout{Canary: 5, Pause: true}, 1, 0, "the canary is done"},
		"a wave behind the canary":     {fleet.Rollout{Canary: 5, Batch: share(t, "10")}, 2, 10, ""},
		"a slice with a tenth failing": {fleet.Rollout{Slices: 4}, 2, 2, ""},
		"a slice with more failing":    {fleet.Rollout{Slices: 4}, 2, 3, "3 of the 20 hosts in wave 2 failed or did not answer, more than 10%"},
	}
	for name, tt := range tests {
		p, err := rollout.New(tt.layout, 100)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Verdict(tt.wave, tt.failures); got != tt.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
