package peel

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/base/errs"
)

// onlyOne keeps a second agent from running on the same folder: two processes
// with one key look to the masters like a copied host, and both would be kept
// off the bus. The system lets go of the lock when the process ends.
type onlyOne struct {
	dir  string
	lock *disk.Lock
}

// Start takes the folder.
func (o *onlyOne) Start(context.Context) error {
	lock, err := disk.TakeLock(filepath.Join(o.dir, "lock"))
	if errors.Is(err, disk.ErrLocked) {
		return errs.New(errs.Conflict, "another rind-peel runs on the data folder %s; stop it first, since two with one key would both be kept off the bus", o.dir)
	}
	if err != nil {
		return errs.New(errs.Forbidden, "writing to the data folder: %w; run this as the user that owns it", err)
	}
	o.lock = lock
	return nil
}

// Stop lets it go.
func (o *onlyOne) Stop(context.Context) error {
	if o.lock == nil {
		return nil
	}
	return o.lock.Release()
}
