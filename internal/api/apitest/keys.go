package apitest

import (
	"context"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
)

// Keys rotates keys in memory.
type Keys struct{ Rotated []string }

// Rotate implements api.Keys.
func (k *Keys) Rotate(_ context.Context, kind string) (fleet.KeyRotation, error) {
	if len(k.Rotated) >= 2 {
		return fleet.KeyRotation{}, errs.New(errs.Conflict, "too many keys live already")
	}
	k.Rotated = append(k.Rotated, kind)
	return fleet.KeyRotation{Kind: kind, Key: "THENEWKEY", Since: Now, OldUntil: Now.Add(24 * time.Hour)}, nil
}
