package tap

import (
	"time"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/pipeline"
)

const (
	maxTimeout   = 24 * time.Hour
	maxDatagrams = 16_384    // some 1.2 KB each, beside what they hold
	minPartBytes = 64 << 10  // one datagram of the largest size
	maxPartBytes = 255 << 20 // what a table of fragments can number
	maxPartWait  = 5 * time.Minute
)

// Flow bounds the flow table and what stands before it.
type Flow struct {
	MaxFlows  int       `yaml:"max_flows" help:"flows held at once, per interface, shared by its workers"`
	Seed      uint16    `yaml:"community_id_seed" help:"seed of the Community ID"`
	Timeouts  Timeouts  `yaml:"timeouts"`
	Fragments Fragments `yaml:"fragments"`
}

// Timeouts say when a flow has ended. They are looked at when a report is made.
type Timeouts struct {
	TCP    time.Duration `yaml:"tcp" help:"silence after which an established TCP connection has ended"`
	Closed time.Duration `yaml:"closed" help:"silence after which a closed TCP connection is forgotten"`
	UDP    time.Duration `yaml:"udp" help:"silence after which a UDP flow has ended"`
	Other  time.Duration `yaml:"other" help:"silence after which any other flow has ended, also a TCP connection that was never established"`
	Active time.Duration `yaml:"active" help:"time after which a flow that goes on is ended, and begins again as the next flow of the same endpoints"`
}

// Fragments bound the datagrams that are put together from fragments for the
// parsers, per worker.
type Fragments struct {
	MaxDatagrams int           `yaml:"max_datagrams" help:"datagrams that are put together at once, per worker"`
	MaxBytes     config.Size   `yaml:"max_bytes" help:"memory for their parts, per worker"`
	Timeout      time.Duration `yaml:"timeout" help:"time for which the parts of one are waited for"`
}

// defaultFlow is what package flow does by itself, said aloud.
func defaultFlow() Flow {
	t, l := flow.DefaultTimeouts(), flow.DefaultFragmentLimits()
	return Flow{
		MaxFlows:  262_144,
		Timeouts:  Timeouts(t),
		Fragments: Fragments{MaxDatagrams: l.Datagrams, MaxBytes: config.Size(l.Bytes), Timeout: l.Wait},
	}
}

// into sets what a pipeline takes of it; workers are those that share the table.
func (f Flow) into(c *pipeline.Config, workers int) {
	c.MaxFlows, c.Seed, c.Timeouts = f.MaxFlows, f.Seed, flow.Timeouts(f.Timeouts)
	if workers > 1 {
		c.MaxFlows = max(f.MaxFlows/workers, minFlows)
	}
	c.Fragments = flow.FragmentLimits{Datagrams: f.Fragments.MaxDatagrams, Bytes: int(f.Fragments.MaxBytes), Wait: f.Fragments.Timeout}
}

func (f Flow) validate() error {
	bad := func(key, format string, args ...any) error {
		return config.Bad(key, "%w", errs.New(errs.Invalid, key+" is "+format, args...))
	}
	if f.MaxFlows < minFlows || f.MaxFlows > 16<<20 {
		return bad("flow.max_flows", "%d: choose between %d and 16777216", f.MaxFlows, minFlows)
	}
	for _, t := range []struct {
		key   string
		value time.Duration
		least time.Duration
	}{
		{"tcp", f.Timeouts.TCP, time.Second}, {"closed", f.Timeouts.Closed, time.Second}, {"udp", f.Timeouts.UDP, time.Second},
		{"other", f.Timeouts.Other, time.Second}, {"active", f.Timeouts.Active, 10 * time.Second},
	} {
		if t.value < t.least || t.value > maxTimeout {
			return bad("flow.timeouts."+t.key, "%s: choose between %s and %s", t.value, t.least, maxTimeout)
		}
	}
	switch g := f.Fragments; {
	case g.MaxDatagrams < 4 || g.MaxDatagrams > maxDatagrams:
		return bad("flow.fragments.max_datagrams", "%d: choose between 4 and %d", g.MaxDatagrams, maxDatagrams)
	case g.MaxBytes < minPartBytes || g.MaxBytes > maxPartBytes:
		return bad("flow.fragments.max_bytes", "%s: choose between 64KiB and 255MiB", g.MaxBytes)
	case g.Timeout < time.Second || g.Timeout > maxPartWait:
		return bad("flow.fragments.timeout", "%s: choose between 1s and %s", g.Timeout, maxPartWait)
	}
	return nil
}
