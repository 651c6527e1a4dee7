package master

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job"
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
		rollout fleet.Rollout
		hosts   int
		ends    []int
		window  int
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
		p, err := newPlan(tt.rollout, tt.hosts)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(p.ends, tt.ends) || p.window != tt.window {
			t.Errorf("%s: ends %v, window %d; want %v, %d", name, p.ends, p.window, tt.ends, tt.window)
		}
		order := p.order(job.NewJID(), tt.hosts)
		slices.Sort(order)
		for i, at := range order {
			if int(at) != i {
				t.Fatalf("%s: the order is no permutation: %v", name, order)
			}
		}
	}
	for name, r := range map[string]fleet.Rollout{
		"slices and batches": {Slices: 2, Batch: share(t, "2")}, "pause alone": {Pause: true}, "slice_pause alone": {SlicePause: time.Second},
		"below zero": {Canary: -1}, "too many slices": {Slices: MaxSlices + 1}, "a long pause": {Slices: 2, SlicePause: 48 * time.Hour},
	} {
		if _, err := newPlan(r, 10); errs.KindOf(err) != errs.Invalid && errs.KindOf(err) != errs.TooLarge {
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
			p, err := newPlan(fleet.Rollout{Slices: n}, hosts)
			if err != nil {
				t.Fatal(err)
			}
			last, size := 0, 0
			for _, end := range p.ends {
				if end-last < size-1 || end <= last {
					t.Fatalf("%d hosts in %d slices: %v", hosts, n, p.ends)
				}
				size, last = end-last, end
			}
			if last != hosts || len(p.ends) != min(n, hosts) {
				t.Fatalf("%d hosts in %d slices: %v", hosts, n, p.ends)
			}
		}
	}
}

func TestShares(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"50": 50, "10%": 20, "0.1%": 1, "100%": 200, "33.3%": 67} {
		s, err := fleet.ParseShare(text, false)
		if err != nil || s.Of(200) != want || s.String() != text {
			t.Errorf("%s: %d %q %v", text, s.Of(200), s, err)
		}
		var back fleet.Share
		b, _ := s.MarshalText()
		if err := back.UnmarshalText(b); err != nil || back != s {
			t.Errorf("%s: %v %v", text, back, err)
		}
	}
	if z, err := fleet.ParseShare("0%", true); err != nil || z.IsZero() || z.Of(10) != 0 {
		t.Errorf("0%%: %v %v", z, err)
	}
	for _, bad := range []string{"", "0", "0%", "-1", "101%", "x", "1e3", "+5", "NaN%", "50 %", "05"} {
		if s, err := fleet.ParseShare(bad, false); err == nil {
			t.Errorf("%q is %v", bad, s)
		}
	}
}

// TestLife: a job that goes out in waves lives until the last one can have
// ended, and one that waits for people a day.
func TestLife(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		rollout fleet.Rollout
		timeout time.Duration
		want    time.Duration
	}{
		"at once":      {fleet.Rollout{}, 10 * time.Second, job.MaxSkew},
		"a long one":   {fleet.Rollout{}, time.Hour, time.Hour},
		"ten batches":  {fleet.Rollout{Batch: share(t, "10")}, time.Minute, job.MaxSkew + 9*time.Minute},
		"five at once": {fleet.Rollout{Concurrency: share(t, "5")}, time.Minute, job.MaxSkew + 19*time.Minute},
		"with people":  {fleet.Rollout{Canary: 1, Pause: true}, time.Minute, planExpiry},
		"very many":    {fleet.Rollout{Batch: share(t, "1")}, time.Hour, planExpiry},
	}
	for name, tt := range tests {
		p, err := newPlan(tt.rollout, 100)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, p.life(tt.timeout)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
