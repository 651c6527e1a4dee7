package server

import (
	"context"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet"
	"github.com/rind-project/rind/internal/fleet/job"
	"github.com/rind-project/rind/internal/fleet/natsd"
)

// keyring rotates the keys that sign permissions and jobs.
type keyring struct{ daemon *natsd.Server }

// Rotate has a new key of that kind sign.
func (k keyring) Rotate(ctx context.Context, kind string) (fleet.KeyRotation, error) {
	switch kind {
	case fleet.ScopedKey:
		return k.daemon.RotateScoped(ctx)
	case fleet.MasterKey:
		out, err := k.daemon.RotateMaster(ctx)
		if err == nil {
			out.OldUntil = out.Since.Add(job.DelegationLife)
		}
		return out, err
	}
	return fleet.KeyRotation{}, errs.New(errs.Invalid, "%.64q is no key that can be rotated; use %s or %s", kind, fleet.ScopedKey, fleet.MasterKey)
}
