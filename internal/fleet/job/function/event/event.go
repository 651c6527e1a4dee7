// Package event holds the function with which peels tell of events.
package event

import (
	"context"
	"encoding/json"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// Runs are the functions event.*.
func Runs() map[string]schema.Run { return map[string]schema.Run{"event.send": send} }

// send returns when a master has stored the event. Under one id it is stored
// once, however often it is sent.
func send(ctx context.Context, c schema.Call) (schema.Result, error) {
	name := c.Args.Text("name")
	if err := fleet.CheckEventName(name); err != nil {
		return schema.Result{}, errs.New(errs.Invalid, "%w", err)
	}
	var data json.RawMessage
	if c.Args.Has("data") {
		var err error
		if data, err = fleet.ParseValue(c.Args.Text("data")); err == nil {
			err = fleet.CheckValue(data, fleet.MaxEventData)
		}
		if err != nil {
			return schema.Result{}, errs.New(errs.Invalid, "the event's data cannot be sent: %w", err)
		}
	}
	said := fleet.EventSaid{ID: fleet.NewEventID(), Data: data}
	body, err := fleet.Encode(said)
	if err != nil {
		return schema.Result{}, err
	}
	return schema.Result{Value: said.ID}, c.Host.Event(ctx, name, body)
}
