// Package master is the master's runtime: it knows the peels (who is enrolled,
// what they say of themselves, who is on the bus now), sends signed jobs to
// them, and counts every answer.
//
// What must survive is in buckets whose writes are acknowledged: a job's
// record is written before the job is sent, and a return is counted only from
// the subject or the bucket that names its peel. A master that is killed in
// the middle of a job leaves nothing behind that the next one cannot finish.
//
// What it knows and keeps is in rooms below this one, none of which knows this
// one or another of them; here they are put together, people are answered, and
// jobs are driven.
package master

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/master/guard"
	"github.com/rind-project/rind/internal/fleet/settings/compile"
)

// Config is the configuration of a master. Zero values take the defaults.
type Config struct {
	Name       string        `yaml:"name" help:"name of this master, unique in the fleet; the host name without it"`
	JobTimeout time.Duration `yaml:"job_timeout" help:"how long a job waits for answers when its request says nothing"`
	Flood      guard.Limits  `yaml:"flood"`
	CopyGrace  time.Duration `yaml:"copy_grace" help:"how long two processes may be connected with one peel's key; longer means that its host was copied"`
	ListEvery  time.Duration `yaml:"-"` // how often the servers' lists of connections are read
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{JobTimeout: 10 * time.Second, Flood: guard.DefaultLimits(), CopyGrace: 90 * time.Second}
}

// listEvery is how often the servers' lists of connections are read.
const listEvery = time.Minute

// Limits of a job.
const (
	MaxJobTimeout = 24 * time.Hour
	MaxExpiry     = 6 * 24 * time.Hour // records live a day longer
	MaxArgs       = 64
	MaxArgBytes   = 256 << 10 // all arguments together
)

// Deps are what a master needs.
type Deps struct {
	Log *slog.Logger
	// NC returns the connection of the fleet's account, with full rights. It
	// is asked once, by Start. JS is its JetStream.
	NC func() *nats.Conn
	JS func() jetstream.JetStream
	// System returns the connection of the system account. It is optional:
	// without it presence comes from heartbeats alone.
	System func() *nats.Conn
	// Signer signs jobs and settings. The key behind it may be rotated at any
	// time.
	Signer Signer
	// Enrolled returns the ids of all approved peels.
	Enrolled func(context.Context) ([]fleet.PeelID, error)
	// Room returns an error when there is no room to write anything down;
	// optional.
	Room func() error
	// Suspend keeps a peel off the bus, and Suspended says why one is; both are
	// optional. Several masters may ask for the same.
	Suspend   func(ctx context.Context, id fleet.PeelID, s fleet.Suspension, by string) error
	Suspended func(fleet.PeelID) (fleet.Suspension, bool)
	// Group returns the target that a named group stands for. Without it N@ is
	// refused.
	Group func(ctx context.Context, name string) (text string, ok bool, err error)
	// Settings knows the settings of each peel, for I@ and for the peels. It is
	// optional: without it I@ is refused.
	Settings *compile.Compiler
	// Answers are what other rooms answer to peels, by what is asked.
	Answers map[string]bus.Answerer
	Version string
	Metrics prometheus.Registerer // optional
}

// Signer signs what a master says.
type Signer interface {
	// Sign signs a job for targets in their order, or for all when they are nil.
	Sign(b job.Body, targets []fleet.PeelID) (*job.Batch, error)
	// Vouch signs what is said to one peel.
	Vouch(w job.Word, said []byte) (proof []byte, err error)
}

// PeelQuery selects a page of peels, sorted by id.
type PeelQuery struct {
	Match string       // in the target language; "" is all
	Limit int          // of the page; 0 is 100
	After fleet.PeelID // the id that the page before ended on
}

func (c *Config) fill() {
	if c.Name == "" {
		c.Name, _ = os.Hostname()
	}
	if c.JobTimeout <= 0 {
		c.JobTimeout = DefaultConfig().JobTimeout
	}
	if c.CopyGrace <= 0 {
		c.CopyGrace = DefaultConfig().CopyGrace
	}
	if c.ListEvery <= 0 {
		c.ListEvery = listEvery
	}
}
