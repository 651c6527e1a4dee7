package holder

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/basket"
	"github.com/rind-project/rind/internal/fleet/bus"
)

// Bounds of an answer.
const (
	maxAnswer = 960 << 10       // bytes, below what the bus takes by default
	framing   = 4 << 10         // bytes of a message beside the values
	awaitWait = 2 * time.Second // for the watch to tell what was written
)

// Answers are what the holder answers to peels.
func (h *Holder) Answers() map[string]bus.Answerer {
	return map[string]bus.Answerer{
		basket.AskPut:    answer(h, "put", h.put),
		basket.AskKeep:   answer(h, "keep", h.keep),
		basket.AskRemove: answer(h, "remove", h.remove),
		basket.AskGet:    answer(h, "get", h.get),
		basket.AskList:   answer(h, "list", h.list),
	}
}

// answer decodes what a peel asks. What is wrong with it is refused for good;
// after any other failure the peel asks again.
func answer[In any](h *Holder, op string, fn func(context.Context, fleet.PeelID, In) (any, error)) bus.Answerer {
	return func(ctx context.Context, id fleet.PeelID, data []byte) ([]byte, error) {
		out, err := decoded(ctx, id, data, fn)
		if err != nil {
			switch errs.KindOf(err) {
			case errs.Invalid, errs.TooLarge, errs.Forbidden, errs.RateLimited, errs.NotFound:
				h.metrics.count(op, errs.KindOf(err).String())
				return nil, bus.Refused("%s", err)
			}
			h.metrics.count(op, "failed")
			return nil, err
		}
		h.metrics.count(op, "ok")
		return out, nil
	}
}

func decoded[In any](ctx context.Context, id fleet.PeelID, data []byte, fn func(context.Context, fleet.PeelID, In) (any, error)) ([]byte, error) {
	var in In
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, errs.New(errs.Invalid, "the question cannot be read; is the peel of the server's version? %w", err)
	}
	out, err := fn(ctx, id, in)
	if err != nil || out == nil {
		return nil, err
	}
	return fleet.Encode(out)
}

func (h *Holder) put(ctx context.Context, id fleet.PeelID, in basket.Put) (any, error) {
	kv, _, err := h.bucket()
	if err != nil {
		return nil, err
	}
	if err := fleet.CheckBasketName(in.Name); err != nil {
		return nil, errs.New(errs.Invalid, "%w", err)
	}
	if err := fleet.CheckValue(in.Value, fleet.MaxBasketValue); err != nil {
		kind := errs.Invalid
		if len(in.Value) > fleet.MaxBasketValue {
			kind = errs.TooLarge
		}
		return nil, errs.New(kind, "%s: %w", in.Name, err)
	}
	data, err := fleet.Encode(stored{in.Value, in.Configured})
	if err != nil {
		return nil, err
	}
	place, err := h.shelf.claim(id, in.Name, len(in.Value))
	if err != nil {
		return nil, err
	}
	defer h.shelf.release(place)
	revision, err := kv.Put(ctx, key(id, in.Name), data)
	if err != nil {
		return nil, bus.Explain(bus.Basket, err)
	}
	h.await(ctx, func() bool { return h.shelf.seen >= revision })
	return nil, nil
}

// await waits until what was written is in memory, so that who wrote it finds
// it. It is stored in any case.
func (h *Holder) await(ctx context.Context, there func() bool) {
	ctx, cancel := context.WithTimeout(ctx, awaitWait)
	defer cancel()
	h.shelf.await(ctx, there)
}

func (h *Holder) remove(ctx context.Context, id fleet.PeelID, in basket.Name) (any, error) {
	if err := fleet.CheckBasketName(in.Name); err != nil {
		return nil, errs.New(errs.Invalid, "%w", err)
	}
	removed, err := h.drop(ctx, id, in.Name)
	return basket.Removed{Removed: removed}, err
}

// drop leaves a mark in the place of a value, and reports whether there was
// one.
func (h *Holder) drop(ctx context.Context, id fleet.PeelID, name string) (bool, error) {
	kv, _, err := h.bucket()
	if err != nil {
		return false, err
	}
	e, err := kv.Get(ctx, key(id, name))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return false, nil
	}
	if err != nil {
		return false, bus.Explain(bus.Basket, err)
	}
	if err := kv.Delete(ctx, key(id, name)); err != nil {
		return false, bus.Explain(bus.Basket, err)
	}
	h.await(ctx, func() bool {
		it := h.shelf.peels[id][name]
		return it.gone || it.revision != e.Revision()
	})
	return true, nil
}

// keep removes what left the peel's configuration, and says which values are
// not those that are stored.
func (h *Holder) keep(ctx context.Context, id fleet.PeelID, in basket.Keep) (any, error) {
	if len(in.Sums) > fleet.MaxBasketNames {
		return nil, errs.New(errs.TooLarge, "the configuration shares %d values, at most %d are kept", len(in.Sums), fleet.MaxBasketNames)
	}
	var out basket.Kept
	same := map[string]bool{}
	for _, it := range h.shelf.of(id) {
		sum, wanted := in.Sums[it.name]
		switch {
		case wanted:
			same[it.name] = it.configured && it.value != nil && basket.Sum(it.value) == sum
		case it.configured:
			if _, err := h.drop(ctx, id, it.name); err != nil {
				return nil, err
			}
			out.Removed = append(out.Removed, it.name)
		}
	}
	for name := range in.Sums {
		if !same[name] {
			out.Want = append(out.Want, name)
		}
	}
	return out, nil
}

func (h *Holder) list(_ context.Context, id fleet.PeelID, _ struct{}) (any, error) {
	out := basket.Own{Items: []fleet.BasketItem{}}
	for _, it := range h.shelf.of(id) {
		out.Items = append(out.Items, it.public(id))
	}
	return out, nil
}

// public is an item as it is shown, without its value.
func (n named) public(id fleet.PeelID) fleet.BasketItem {
	return fleet.BasketItem{Peel: id, Name: n.name, Size: n.size, Updated: n.updated.UTC(), Configured: n.configured}
}
