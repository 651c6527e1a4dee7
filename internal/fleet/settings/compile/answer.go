package compile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/bus"
	"github.com/rind-project/rind/internal/fleet/settings"
)

var errBehind = errors.New("this master has not read the newest layers yet")

// Sign makes the proof that a master has said something.
type Sign func(said []byte) (proof []byte, err error)

// Answer answers a peel that asks for its settings. An answer is signed when
// the question has a nonce: without one it could be shown again later, and
// proves nothing.
func (c *Compiler) Answer(ctx context.Context, id fleet.PeelID, data []byte, sign Sign) ([]byte, error) {
	req, err := settings.ParseRequest(data)
	if err != nil {
		return nil, bus.Refused("%s", err)
	}
	cls, at, err := c.find(ctx, id, req.At)
	if err != nil {
		return nil, err
	}
	if at < req.At {
		return nil, errBehind
	}
	if cls.err != nil {
		return nil, bus.Refused("%s", cls.err)
	}
	out := settings.Compiled{At: at, Revision: cls.revision, Values: cls.data}
	if req.Have == cls.revision {
		out.Values = nil
	}
	if req.Nonce != "" {
		if out.Proof, err = sign(settings.Said(id, req.Nonce, at, cls.data)); err != nil {
			return nil, fmt.Errorf("signing the settings of %s: %w", id, err)
		}
	}
	return json.Marshal(out)
}

// find returns the class of a peel, settled when it is not of the state that
// is asked for.
func (c *Compiler) find(ctx context.Context, id fleet.PeelID, least int64) (*class, int64, error) {
	c.mu.RLock()
	cls, at, fresh := c.of[id], c.at, !c.all && c.touched[id] == 0
	c.mu.RUnlock()
	if cls != nil && fresh && at >= least {
		return cls, at, nil
	}
	if err := c.Settle(ctx); err != nil {
		return nil, 0, err
	}
	c.settling.Lock()
	defer c.settling.Unlock()
	c.mu.RLock()
	cls, at = c.of[id], c.at
	c.mu.RUnlock()
	if cls == nil { // enrolled a moment ago, and without facts
		cls = c.classOf(id, nil)
	}
	return cls, at, nil
}

// Show returns the settings of a peel, with the layer that each value comes
// from.
func (c *Compiler) Show(ctx context.Context, id fleet.PeelID) (settings.Effective, error) {
	if err := c.Settle(ctx); err != nil {
		return settings.Effective{}, err
	}
	cls, _, err := c.find(ctx, id, 0)
	if err != nil {
		return settings.Effective{}, err
	}
	out := settings.Effective{Peel: string(id), Revision: cls.revision, Layers: append([]string{}, cls.names...), Values: cls.data}
	if cls.err != nil {
		return settings.Effective{}, cls.err
	}
	out.Origins = append([]settings.Origin{}, settings.Origins(cls.names, cls.trees)...)
	return out, nil
}
