package store

import (
	"time"

	"github.com/rind-project/rind/internal/base/config"
	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/network/record"
)

// Retention is how long each kind of row is kept.
type Retention struct {
	Flows    time.Duration `yaml:"flows" help:"how long flows, DNS queries and TLS hellos are kept"`
	Records  time.Duration `yaml:"records" help:"how long records of every other kind are kept"`
	Kinds    []Keep        `yaml:"kinds" help:"kinds of records that are kept for another time"`
	Ledgers  time.Duration `yaml:"ledgers" help:"how long ledgers and gaps are kept"`
	Traffic  time.Duration `yaml:"traffic" help:"how long traffic per minute is kept"`
	Hosts    time.Duration `yaml:"hosts" help:"how long the traffic of each host per hour is kept"`
	Names    time.Duration `yaml:"names" help:"how long a name is kept after it was last seen"`
	MaxBytes config.Size   `yaml:"max_bytes" help:"what the rows of all kinds may take; beyond it the oldest partitions go before their time (0: any size)"`
	Tenants  []Tenant      `yaml:"tenants" help:"tenants whose taps' rows are kept for another time, or up to a size"`
}

// Keep is how long the records of one kind are kept.
type Keep struct {
	Kind     string        `yaml:"kind" help:"name of the kind, as rind record list shows it"`
	Keep     time.Duration `yaml:"keep" help:"how long its records are kept (0: as the others)"`
	MaxBytes config.Size   `yaml:"max_bytes" help:"what its rows may take (0: any size)"`
}

// Of is how long the rows of a kind are kept.
func (r Retention) Of(k Kind) time.Duration {
	for _, one := range r.Kinds {
		if one.Kind == k.Name && one.Keep > 0 {
			return one.Keep
		}
	}
	switch k.Name {
	case KindFlows, KindDNS, KindTLS:
		return r.Flows
	case KindLedgers, KindGaps:
		return r.Ledgers
	}
	return r.Records
}

// MaxOf is what the rows of a kind may take; 0 is any size.
func (r Retention) MaxOf(kind string) int64 {
	for _, one := range r.Kinds {
		if one.Kind == kind {
			return int64(one.MaxBytes)
		}
	}
	return 0
}

// DefaultRetention keeps rows for 30 days, and sums and names for longer.
func DefaultRetention() Retention {
	return Retention{Flows: 30 * day, Records: 30 * day, Ledgers: 90 * day, Traffic: 400 * day, Hosts: 90 * day, Names: 90 * day}
}

// Validate says what is wrong.
func (r Retention) Validate() error {
	for key, d := range map[string]time.Duration{"flows": r.Flows, "records": r.Records, "ledgers": r.Ledgers, "traffic": r.Traffic, "hosts": r.Hosts, "names": r.Names} {
		if d < time.Hour {
			return errs.New(errs.Invalid, "retention.%s is %s: choose at least 1h", key, d)
		}
	}
	if r.MaxBytes < 0 {
		return errs.New(errs.Invalid, "retention.max_bytes is negative: name a size such as 100GB, or 0 for any")
	}
	if err := validateKinds("retention.kinds", r.Kinds, hasNoOwnKey); err != nil {
		return err
	}
	return r.validateTenants()
}

// hasNoOwnKey says that retention.records is what keeps a kind.
func hasNoOwnKey(k Kind) bool {
	_, ok := record.Find(k.Name)
	return ok
}

// validateKinds looks at a list of kinds; those that are may keep a time here.
func validateKinds(key string, kinds []Keep, may func(Kind) bool) error {
	seen := map[string]bool{}
	for _, one := range kinds {
		k, isKind := FindKind(one.Kind)
		switch {
		case !isKind:
			return errs.New(errs.Invalid, "%s: there is no kind of records %.64q; rind record list shows those that there are", key, one.Kind)
		case seen[one.Kind]:
			return errs.New(errs.Invalid, "%s names %q twice", key, one.Kind)
		case !may(k) && one.Keep != 0:
			return errs.New(errs.Invalid, "%s keeps %q for %s: set retention.flows or retention.ledgers instead", key, one.Kind, one.Keep)
		case one.Keep < time.Hour && (one.Keep != 0 || one.MaxBytes == 0):
			return errs.New(errs.Invalid, "%s keeps %s for %s: choose at least 1h", key, one.Kind, one.Keep)
		case one.MaxBytes < 0:
			return errs.New(errs.Invalid, "%s gives %q a negative max_bytes", key, one.Kind)
		}
		seen[one.Kind] = true
	}
	return nil
}
