package master

import (
	"context"

	"github.com/rind-project/rind/internal/fleet"
)

// Master is one master of the fleet. Use New.
type Master struct {
	cfg  Config
	deps Deps
	died chan error
}

// New makes a master that is not started.
func New(cfg Config, deps Deps) *Master {
	cfg.fill()
	return &Master{cfg: cfg, deps: deps, died: make(chan error, 1)}
}

// Start loads what is known of the peels and finishes the jobs that an earlier
// master left open.
func (m *Master) Start(ctx context.Context) error { return nil }

// Stop ends it.
func (m *Master) Stop(ctx context.Context) error { return nil }

// Died yields why the master ended, if it ends by itself.
func (m *Master) Died() <-chan error { return m.died }

// Peels returns a page of the peels, sorted by id and without their facts.
func (m *Master) Peels(ctx context.Context, q PeelQuery) ([]fleet.Peel, error) { return nil, nil }

// Peel returns one peel with its facts.
func (m *Master) Peel(ctx context.Context, id fleet.PeelID) (fleet.Peel, error) {
	return fleet.Peel{}, nil
}

// Run sends a job and returns its record as soon as it is on its way.
func (m *Master) Run(ctx context.Context, req fleet.JobRequest) (fleet.Job, error) {
	return fleet.Job{}, nil
}

// Jobs returns the latest jobs, newest first.
func (m *Master) Jobs(ctx context.Context, limit int) ([]fleet.Job, error) { return nil, nil }

// Job returns a job and every return that there is now.
func (m *Master) Job(ctx context.Context, jid string) (fleet.Job, []fleet.Return, error) {
	return fleet.Job{}, nil, nil
}

// Watch yields the returns so far, then those that arrive, and the job itself
// when it is done; then the channel is closed.
func (m *Master) Watch(ctx context.Context, jid string) (<-chan fleet.JobEvent, error) {
	return nil, nil
}

// Changes yields when something about hosts or jobs has changed; changes in
// quick succession come as one. The channel is closed when ctx ends.
func (m *Master) Changes(ctx context.Context) <-chan struct{} { return nil }

// Forget removes what a peel that was revoked or replaced has said.
func (m *Master) Forget(ctx context.Context, id fleet.PeelID) error { return nil }
