package master

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job"
)

// Limits of a rollout.
const (
	MaxSlices   = 1000
	MaxExpiry   = 6 * 24 * time.Hour // records live a day longer
	planExpiry  = 24 * time.Hour     // of a job that waits for people, or whose waves take long
	sliceHealth = 10                 // percent of a slice that may fail or not answer
)

// plan is how a job spreads over its targets. Positions are places in the
// order in which they get it.
type plan struct {
	ends     []int // positions behind each wave; the last one is the number of targets
	window   int   // how many may work on it at the same time
	failures int   // how many may fail or not answer; below 0 any number
	canary   bool  // the first wave is one
	pause    bool  // and somebody has to look at it
	slices   bool  // each wave has to be healthy
	gap      time.Duration
	shuffled bool // so that the first waves are of all kinds of hosts
}

// newPlan lays a rollout out over so many hosts.
func newPlan(r fleet.Rollout, hosts int) (plan, error) {
	p := plan{window: hosts, failures: -1, canary: r.Canary > 0, pause: r.Pause, slices: r.Slices > 0, gap: r.SlicePause}
	switch {
	case r.Canary < 0 || r.Slices < 0 || r.SlicePause < 0:
		return p, errs.New(errs.Invalid, "canary, slices and slice_pause cannot be below 0")
	case r.Slices > MaxSlices:
		return p, errs.New(errs.TooLarge, "there are %d slices, at most %d are allowed", r.Slices, MaxSlices)
	case r.Slices > 0 && !r.Batch.IsZero():
		return p, errs.New(errs.Invalid, "a job goes out in batches or in slices, not in both")
	case r.Pause && r.Canary == 0:
		return p, errs.New(errs.Invalid, "pause waits behind the canary, which is missing; add canary, such as --canary 5")
	case r.SlicePause > 0 && r.Slices == 0:
		return p, errs.New(errs.Invalid, "slice_pause is between slices, which are missing; add slices, such as --slices 20")
	case r.SlicePause > planExpiry:
		return p, errs.New(errs.TooLarge, "the pause between slices is %s, at most %s are allowed", r.SlicePause, planExpiry)
	}
	if !r.Concurrency.IsZero() {
		p.window = max(1, r.Concurrency.Of(hosts))
	}
	if !r.MaxFailures.IsZero() {
		p.failures = r.MaxFailures.Of(hosts)
	}
	p.shuffled = p.canary || p.slices
	p.lay(r, hosts)
	return p, nil
}

// lay sets the ends of the waves.
func (p *plan) lay(r fleet.Rollout, hosts int) {
	at := 0
	to := func(end int) {
		if end = min(end, hosts); end > at {
			p.ends, at = append(p.ends, end), end
		}
	}
	if r.Canary > 0 {
		to(r.Canary)
	}
	switch rest := hosts - at; {
	case r.Slices > 0:
		// Slice i is i times as large as the first.
		begin, sum := at, r.Slices*(r.Slices+1)/2
		for i := 1; i <= r.Slices; i++ {
			to(max(begin+rest*(i*(i+1)/2)/sum, at+1))
		}
	case !r.Batch.IsZero():
		for size := max(1, r.Batch.Of(hosts)); at < hosts; {
			to(at + size)
		}
	}
	to(hosts)
}

// order is the order in which the targets get the job, as places in their
// sorted list. Every master comes to the same one.
func (p *plan) order(jid string, hosts int) []int32 {
	order := make([]int32, hosts)
	for i := range order {
		order[i] = int32(i)
	}
	if p.shuffled {
		var seed [32]byte
		copy(seed[:], jid[max(0, len(jid)-len(seed)):]) // its end, which is random
		rand.New(rand.NewChaCha8(seed)).Shuffle(hosts, func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	return order
}

// wave is the number of the wave, from 1, that the position sent belongs to
// when it has been sent.
func (p *plan) wave(sent int) int {
	for i, end := range p.ends {
		if sent <= end {
			return i + 1
		}
	}
	return len(p.ends)
}

// life is how long the job may be got, when its request says nothing.
func (p *plan) life(timeout time.Duration) time.Duration {
	if p.pause || p.slices {
		return planExpiry
	}
	rounds := time.Duration(len(p.ends))
	if p.window > 0 {
		hosts := p.ends[len(p.ends)-1]
		rounds = max(rounds, time.Duration((hosts+p.window-1)/p.window))
	}
	return min(max(timeout, job.MaxSkew)+(rounds-1)*timeout, max(timeout, planExpiry))
}

// verdict says why the job does not go on behind a wave, "" when it does.
func (p *plan) verdict(wave, hosts, failures int) string {
	switch {
	case p.canary && wave == 1 && p.failures < 0 && failures > 0:
		return fmt.Sprintf("%d of %d canaries failed or did not answer", failures, hosts)
	case p.canary && wave == 1 && p.pause:
		return "the canary is done"
	case p.slices && failures*100 > hosts*sliceHealth:
		return fmt.Sprintf("%d of the %d hosts in wave %d failed or did not answer, more than %d%%", failures, hosts, wave, sliceHealth)
	}
	return ""
}
