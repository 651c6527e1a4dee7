package holder

import (
	"context"
	"log/slog"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
)

// errNew makes a peel ask again that has enrolled a moment ago.
var errNew = errs.New(errs.Unavailable, "this peel is not known to the master yet")

// errRules does not say to a peel what stands in a rule.
var errRules = errs.New(errs.Unavailable, "a rule of the server's basket.rules cannot be answered just now; the server's log says why")

// stale is how old the list of whom a rule means may be.
const stale = 2 * time.Second

// rules answer who may read what of whom.
type rules struct {
	all []Rule
	log *slog.Logger
	sel func(ctx context.Context, target string) ([]fleet.PeelID, error)

	mu       sync.Mutex
	at       time.Time                 // when everyone was asked for
	everyone []fleet.PeelID            // sorted
	known    map[string][]fleet.PeelID // by target, asked for since then
	failed   map[string]bool           // those that could not be answered
}

func newRules(all []Rule, log *slog.Logger, sel func(context.Context, string) ([]fleet.PeelID, error)) *rules {
	return &rules{all: all, log: log, sel: sel}
}

// fresh forgets what is stale. Who is in everyone is in what is asked for later.
func (r *rules) fresh(ctx context.Context) error {
	if time.Since(r.at) < stale {
		return nil
	}
	everyone, err := r.sel(ctx, "*")
	if err != nil {
		return err
	}
	r.at, r.everyone, r.known, r.failed = time.Now(), everyone, map[string][]fleet.PeelID{}, map[string]bool{}
	return nil
}

// members are the peels that a rule means.
func (r *rules) members(ctx context.Context, target string) ([]fleet.PeelID, error) {
	if ids, ok := r.known[target]; ok {
		return ids, nil
	}
	if r.failed[target] {
		return nil, errRules
	}
	ids, err := r.sel(ctx, target)
	if err != nil {
		r.failed[target] = true
		r.log.Warn("a rule of basket.rules cannot be answered", "target", target, "error", err)
		return nil, errRules
	}
	r.known[target] = ids
	return ids, nil
}

// scope is whose values under one name a reader may read: its own, and those
// that rules name.
type scope struct {
	reader fleet.PeelID
	of     [][]fleet.PeelID // each sorted
}

// empty reports whether no rule lets the reader read anything.
func (s scope) empty() bool { return len(s.of) == 0 }

func (s scope) has(id fleet.PeelID) bool {
	if id == s.reader {
		return true
	}
	for _, ids := range s.of {
		if _, found := slices.BinarySearch(ids, id); found {
			return true
		}
	}
	return false
}

// scope looks at every rule. What no rule allows is denied.
func (r *rules) scope(ctx context.Context, reader fleet.PeelID, name string) (scope, error) {
	s := scope{reader: reader}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.fresh(ctx); err != nil {
		return s, err
	}
	if _, known := slices.BinarySearch(r.everyone, reader); !known {
		return s, errNew
	}
	for _, rule := range r.all {
		if ok, err := path.Match(rule.Names, name); err != nil || !ok {
			continue // the configuration has no pattern with an error
		}
		readers, err := r.members(ctx, rule.Readers)
		if err != nil {
			return s, err
		}
		if _, ok := slices.BinarySearch(readers, reader); !ok {
			continue
		}
		of, err := r.members(ctx, rule.Of)
		if err != nil {
			return s, err
		}
		s.of = append(s.of, of)
	}
	return s, nil
}
