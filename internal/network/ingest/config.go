package ingest

import (
	"log/slog"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/database"
	"github.com/rind-project/rind/internal/network/report"
	"github.com/rind-project/rind/internal/network/store"
)

// Config bounds what taps may send.
type Config struct {
	Limits        report.Limits // zero: those of the format
	Concurrent    int           // requests under way (1024); more are answered 429
	QueueBytes    int           // memory of all reports under way (128 MiB); more are answered 429
	Writers       int           // transactions at once (one per core on PostgreSQL, 2 to 8); SQLite has one writer
	GroupRows     int           // rows that one transaction is to have, about (5,000)
	GroupReports  int           // reports in one transaction at most (256)
	BodyTimeout   time.Duration // for one body (30s)
	CommitTimeout time.Duration // for one transaction (20s)
	MaxAge        time.Duration // of a report's end (30 days): older ones are refused
	// MaxAgeOf is that of a tenant's taps, MaxAge at most; nil: MaxAge for all.
	MaxAgeOf    func(tenant string) time.Duration
	MaxAhead    time.Duration // that a report may lie in the future (24h)
	MaxClockOff time.Duration // between the sending tap's clock and ours (5m)
}

// Deps are what the service stands on. Pressure tells whether the process is
// near its limit of memory; it and Now may be nil.
type Deps struct {
	DB       *database.DB
	Store    *store.Store
	Log      *slog.Logger
	Metrics  prometheus.Registerer
	Pressure func() bool
	Now      func() time.Time
}

func (c Config) complete(engine database.Engine) Config {
	if c.Limits == (report.Limits{}) {
		c.Limits = report.DefaultLimits()
	}
	c.Concurrent = or(c.Concurrent, 1024)
	c.QueueBytes = or(c.QueueBytes, 128<<20)
	c.Writers = or(c.Writers, min(max(runtime.GOMAXPROCS(0), 2), 8))
	if engine == database.SQLite {
		c.Writers = 1
	}
	c.GroupRows = or(c.GroupRows, 5000)
	c.GroupReports = or(c.GroupReports, 256)
	// A report must find room when it is the only one: as it arrives, and as
	// rows.
	c.Limits.Decoded = min(c.Limits.Decoded, c.QueueBytes/4)
	c.Limits.Memory = min(or(c.Limits.Memory, 256<<20), c.QueueBytes/2)
	c.BodyTimeout = or(c.BodyTimeout, 30*time.Second)
	c.CommitTimeout = or(c.CommitTimeout, 20*time.Second)
	c.MaxAge = or(c.MaxAge, store.DefaultRetention().Flows)
	c.MaxAhead = or(c.MaxAhead, 24*time.Hour)
	c.MaxClockOff = or(c.MaxClockOff, 5*time.Minute)
	return c
}

// keep is how old a report of a tenant's tap may be.
func (c Config) keep(tenant string) time.Duration {
	if c.MaxAgeOf == nil {
		return c.MaxAge
	}
	return min(c.MaxAgeOf(tenant), c.MaxAge)
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
