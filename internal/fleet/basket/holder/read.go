package holder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/basket"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/target"
)

// Bounds of a page for people.
const (
	maxPage      = 1000
	maxPageBytes = 4 << 20
)

// get answers a peel. It learns nothing of peels that it may not read, not even
// whether the target means them.
func (h *Holder) get(ctx context.Context, reader fleet.PeelID, in basket.Query) (any, error) {
	if err := fleet.CheckBasketName(in.Name); err != nil {
		return nil, errs.New(errs.Invalid, "%w", err)
	}
	if _, err := target.Parse(in.Target); err != nil {
		return nil, err
	}
	meant, err := h.deps.Select(ctx, in.Target)
	if err != nil {
		return nil, err
	}
	may := scope{reader: reader}
	if len(meant) != 1 || meant[0] != reader { // its own needs no rule
		if may, err = h.rules.scope(ctx, reader, in.Name); err != nil {
			return nil, err
		}
	}
	if _, itself := slices.BinarySearch(meant, reader); may.empty() && !itself {
		return nil, errs.New(errs.Forbidden, "no rule lets %s read %s of another peel; an administrator of the server can add one to basket.rules", reader, in.Name)
	}
	values, size := map[fleet.PeelID]json.RawMessage{}, framing
	limit := min(maxAnswer, int(h.deps.MaxPayload()))
	for _, id := range meant {
		if !may.has(id) {
			continue
		}
		value, found, err := h.value(ctx, id, in.Name)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		if size += len(value) + len(id) + 4; size > limit {
			return nil, errs.New(errs.TooLarge, "the values of %s that %.80q means have more than %d bytes, which is the limit of an answer; narrow the target", in.Name, in.Target, limit)
		}
		values[id] = value
	}
	return h.signed(reader, in, values)
}

// signed makes the answer of the values. It is signed when the question has a
// nonce: without one it could be shown again later, and proves nothing.
func (h *Holder) signed(reader fleet.PeelID, q basket.Query, values map[fleet.PeelID]json.RawMessage) (out basket.Answer, err error) {
	if out.Values, err = fleet.Encode(values); err != nil || q.Nonce == "" {
		return out, err
	}
	if out.Proof, err = h.deps.Vouch(job.WordBasket, basket.Said(reader, q, out.Values)); err != nil {
		return out, fmt.Errorf("signing what %s reads: %w", reader, err)
	}
	return out, nil
}

// value returns what a peel shares under a name, from memory or the bucket.
func (h *Holder) value(ctx context.Context, id fleet.PeelID, name string) (json.RawMessage, bool, error) {
	it, ok := h.shelf.get(id, name)
	if !ok || it.value != nil {
		return it.value, ok, nil
	}
	kv, _, err := h.bucket()
	if err != nil {
		return nil, false, err
	}
	e, err := kv.Get(ctx, key(id, name))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, bus.Explain(bus.Basket, err)
	}
	var v stored
	if err := json.Unmarshal(e.Value(), &v); err != nil {
		return nil, false, errs.New(errs.Internal, "the stored value %s of %s cannot be read: %w", name, id, err)
	}
	return v.Value, true, nil
}

// Query selects a page of what peels share, for people: sorted by peel and
// name.
type Query struct {
	Target string // "" is all
	Name   string // "" is all names
	Values bool   // with the values
	After  string // <id>.<name> that the page before ended on
	Limit  int    // at most 1000, which 0 is
}

// Items returns a page. Next is After of the next one, "" on the last.
func (h *Holder) Items(ctx context.Context, q Query) (items []fleet.BasketItem, next string, err error) {
	if _, _, err := h.bucket(); err != nil {
		return nil, "", err
	}
	if q.Name != "" {
		if err := fleet.CheckBasketName(q.Name); err != nil {
			return nil, "", errs.New(errs.Invalid, "%w", err)
		}
	}
	if q.Target == "" {
		q.Target = "*"
	}
	meant, err := h.deps.Select(ctx, q.Target)
	if err != nil {
		return nil, "", err
	}
	from, _, _ := strings.Cut(q.After, ".")
	at, _ := slices.BinarySearch(meant, fleet.PeelID(from))
	limit, size := min(q.Limit, maxPage), 0
	if limit <= 0 {
		limit = maxPage
	}
	for _, id := range meant[at:] {
		for _, it := range h.shelf.of(id) {
			if q.Name != "" && it.name != q.Name || string(id) == from && key(id, it.name) <= q.After {
				continue
			}
			if len(items) == limit || size > maxPageBytes {
				last := items[len(items)-1]
				return items, key(last.Peel, last.Name), nil
			}
			shown := it.public(id)
			if q.Values {
				value, found, err := h.value(ctx, id, it.name)
				if err != nil {
					return nil, "", err
				}
				if !found {
					continue // it went meanwhile
				}
				shown.Value = value
				size += len(value)
			}
			items = append(items, shown)
		}
	}
	return items, "", nil
}

// Forget removes all that a peel shared, of which the bucket itself tells.
func (h *Holder) Forget(ctx context.Context, id fleet.PeelID) error {
	if _, err := fleet.ParsePeelID(string(id)); err != nil {
		return errs.New(errs.Invalid, "forgetting what a peel shared: %w", err)
	}
	_, js, err := h.bucket()
	if err != nil {
		return err
	}
	s, err := js.Stream(ctx, "KV_"+bus.Basket)
	if err != nil {
		return bus.Explain(bus.Basket, err)
	}
	prefix := "$KV." + bus.Basket + "."
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(prefix+string(id)+".>"))
	if err != nil {
		return bus.Explain(bus.Basket, err)
	}
	for subject := range info.State.Subjects {
		_, name, err := parseKey(strings.TrimPrefix(subject, prefix))
		if err != nil {
			continue // nothing of ours
		}
		if _, err := h.drop(ctx, id, name); err != nil {
			return err
		}
	}
	return nil
}
