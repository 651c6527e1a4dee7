package peel

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/job/function"
)

// Shared is what peels that live in one process have in common: the functions,
// the counters, and the delegations that were verified. Each peel still
// verifies every job itself.
type Shared struct {
	functions *function.Registry
	metrics   *metrics
	sharing   *sharing
	passed    *job.Delegations
}

// NewShared makes it of the functions that jobs can run and of where the
// counters are shown, which may be nil.
func NewShared(functions []function.Function, reg prometheus.Registerer) (*Shared, error) {
	m, err := newMetrics(reg)
	if err != nil {
		return nil, err
	}
	s, err := newSharing(reg)
	if err != nil {
		return nil, err
	}
	return &Shared{functions: function.NewRegistry(functions), metrics: m, sharing: s, passed: job.NewDelegations()}, nil
}
