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

// errRules does not say to a peel what stands in a rule.
var errRules = errs.New(errs.Unavailable, "a rule of the server's basket.rules cannot be answered just now; the server's log says why")

// stale is how old the list of whom a rule means may be.
const stale = 2 * time.Second

// rules answer who may read what of whom.
type rules struct {
	all []Rule
	log *slog.Logger
	sel func(ctx context.Context, target string) ([]fleet.PeelID, error)

	mu    sync.Mutex
	known map[string]members // by target
}

// members are the peels that a target meant a moment ago.
type members struct {
	ids []fleet.PeelID // sorted
	at  time.Time
}

func newRules(all []Rule, log *slog.Logger, sel func(context.Context, string) ([]fleet.PeelID, error)) *rules {
	return &rules{all: all, log: log, sel: sel, known: map[string]members{}}
}

func (r *rules) members(ctx context.Context, target string) ([]fleet.PeelID, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m, ok := r.known[target]; ok && time.Since(m.at) < stale {
		return m.ids, nil
	}
	ids, err := r.sel(ctx, target)
	if err != nil {
		r.log.Warn("a rule of basket.rules cannot be answered", "target", target, "error", err)
		return nil, errRules
	}
	r.known[target] = members{ids, time.Now()}
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
