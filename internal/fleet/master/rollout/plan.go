// Package rollout lays a job out over its targets: in which order they get it,
// in waves of how many, how many may work on it at once, and what keeps it from
// going on.
package rollout

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
	LongLife    = 24 * time.Hour // of a job that waits for people, or whose waves take long
	sliceHealth = 10             // percent of a slice that may fail or not answer
)

// Plan is how a job spreads over its targets. Positions are places in the
// Order in which they get it.
type Plan struct {
	Ends     []int // positions behind each wave; the last one is the number of targets
	Window   int   // how many may work on it at the same time
	Failures int   // how many may fail or not answer; below 0 any number

	canary   bool // the first wave is one
	pause    bool // and somebody has to look at it
	slices   bool // each wave has to be healthy
	gap      time.Duration
	shuffled bool // so that the first waves are of all kinds of hosts
}

// New lays a rollout out over so many hosts.
func New(r fleet.Rollout, hosts int) (Plan, error) {
	p := Plan{Window: hosts, Failures: -1, canary: r.Canary > 0, pause: r.Pause, slices: r.Slices > 0, gap: r.SlicePause}
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
	case r.SlicePause > LongLife:
		return p, errs.New(errs.TooLarge, "the pause between slices is %s, at most %s are allowed", r.SlicePause, LongLife)
	}
	if !r.Concurrency.IsZero() {
		p.Window = max(1, r.Concurrency.Of(hosts))
	}
	if !r.MaxFailures.IsZero() {
		p.Failures = r.MaxFailures.Of(hosts)
	}
	p.shuffled = p.canary || p.slices
	p.lay(r, hosts)
	return p, nil
}

// lay sets the ends of the waves.
func (p *Plan) lay(r fleet.Rollout, hosts int) {
	at := 0
	to := func(end int) {
		if end = min(end, hosts); end > at {
			p.Ends, at = append(p.Ends, end), end
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

// Order is the order in which the targets get the job, as places in their
// sorted list. Every master comes to the same one.
func (p *Plan) Order(jid string, hosts int) []int32 {
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

// Wave is the number of the wave, from 1, that the position sent belongs to
// when it has been sent.
func (p *Plan) Wave(sent int) int {
	for i, end := range p.Ends {
		if sent <= end {
			return i + 1
		}
	}
	return len(p.Ends)
}

// Begin is the position that a wave begins at.
func (p *Plan) Begin(wave int) int {
	if wave < 2 {
		return 0
	}
	return p.Ends[wave-2]
}

// Gap is the pause before a wave.
func (p *Plan) Gap(wave int) time.Duration {
	if p.canary && wave == 2 {
		return 0
	}
	return p.gap
}

// Life is how long the job may be got, when its request says nothing.
func (p *Plan) Life(timeout time.Duration) time.Duration {
	if p.pause || p.slices {
		return LongLife
	}
	rounds := time.Duration(len(p.Ends))
	if p.Window > 0 {
		hosts := p.Ends[len(p.Ends)-1]
		rounds = max(rounds, time.Duration((hosts+p.Window-1)/p.Window))
	}
	return min(max(timeout, job.MaxSkew)+(rounds-1)*timeout, max(timeout, LongLife))
}

// Verdict says why the job does not go on behind a wave in which so many hosts
// failed or did not answer, "" when it does.
func (p *Plan) Verdict(wave, failures int) string {
	hosts := p.Ends[wave-1] - p.Begin(wave)
	switch {
	case p.canary && wave == 1 && p.Failures < 0 && failures > 0:
		return fmt.Sprintf("%d of %d canaries failed or did not answer", failures, hosts)
	case p.canary && wave == 1 && p.pause:
		return "the canary is done"
	case p.slices && failures*100 > hosts*sliceHealth:
		return fmt.Sprintf("%d of the %d hosts in wave %d failed or did not answer, more than %d%%", failures, hosts, wave, sliceHealth)
	}
	return ""
}
