package node

import (
	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/errs"
)

// Ingest bounds what a node takes at once.
type Ingest struct {
	Concurrent int         `yaml:"concurrent" help:"reports under way at once; further ones are answered 429"`
	QueueBytes config.Size `yaml:"queue_bytes" help:"memory of all reports under way; further ones are answered 429"`
}

// DefaultIngest returns the bounds of a node that was told nothing.
func DefaultIngest() Ingest { return Ingest{Concurrent: 1024, QueueBytes: 128 << 20} }

// Validate says what is wrong.
func (c Ingest) Validate() error {
	switch {
	case c.Concurrent < 1:
		return errs.New(errs.Invalid, "ingest.concurrent is %d: 1024 is usual", c.Concurrent)
	case c.QueueBytes < 64<<20:
		return errs.New(errs.Invalid, "ingest.queue_bytes is %d: choose at least 64MiB, or a large report finds no room", int64(c.QueueBytes))
	}
	return nil
}
