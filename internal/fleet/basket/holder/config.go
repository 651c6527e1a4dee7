// Package holder is the masters' half of the basket: it stores what peels
// share, answers them by the rules of its configuration, and forgets what a
// peel shared when that leaves.
//
// All that is shared is held in memory too, by one watch over the bucket for
// each master, however many peels there are. It alone writes there, so that
// what is in memory is what is stored.
package holder

import (
	"context"
	"log/slog"
	"path"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/target"
)

// Config is who may read what.
type Config struct {
	Rules []Rule `yaml:"rules" help:"who may read which names of whom; without a rule a peel reads its own only"`
}

// Rule lets some peels read some names of some peels.
type Rule struct {
	Readers string `yaml:"readers" help:"target: the peels that may read"`
	Of      string `yaml:"of" help:"target: the peels whose values they may read"`
	Names   string `yaml:"names" help:"glob of the names that they may read"`
}

// maxRules bounds the rules: each is looked at for every question.
const maxRules = 64

// Validate says what is wrong with the rules.
func (c *Config) Validate() error {
	if len(c.Rules) > maxRules {
		return config.Bad("rules", "there are %d rules, at most %d are taken; join some with or", len(c.Rules), maxRules)
	}
	for i, r := range c.Rules {
		for key, expr := range map[string]string{"readers": r.Readers, "of": r.Of} {
			if expr == "" {
				return config.Bad("rules", "rule %d has no %s: name a target, such as web-* or * for all", i+1, key)
			}
			if _, err := target.Parse(expr); err != nil {
				return config.Bad("rules", "rule %d, %s: %w", i+1, key, err)
			}
		}
		if _, err := path.Match(r.Names, ""); err != nil || r.Names == "" {
			return config.Bad("rules", "rule %d, names: %q is no glob of names, such as addr or web_* or * for all", i+1, r.Names)
		}
	}
	return nil
}

// Deps are what a holder needs.
type Deps struct {
	Log *slog.Logger
	// JS is the JetStream of the fleet's account. It is asked once, by Start.
	JS func() jetstream.JetStream
	// Select returns the enrolled peels that a target means, sorted.
	Select func(ctx context.Context, target string) ([]fleet.PeelID, error)
	// MaxPayload is the largest message that the bus takes.
	MaxPayload func() int64
	// Vouch signs what is said to one peel.
	Vouch   func(w job.Word, said []byte) (proof []byte, err error)
	Metrics prometheus.Registerer // optional
}
