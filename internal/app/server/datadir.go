package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/base/errs"
)

// lockDataDir makes the data folder and takes it for this process. Others may
// pass through it, to the socket; what is secret lies in folders of its own.
func lockDataDir(dir string) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, errs.New(errs.Forbidden, "making the data folder: %w; choose another with --data or data_dir", err)
	}
	lock, err := disk.TakeLock(filepath.Join(dir, "lock"))
	if errors.Is(err, disk.ErrLocked) {
		return nil, errs.New(errs.Conflict, "another server runs on the data folder %s: stop it, or choose another folder with --data", dir)
	}
	if err != nil {
		return nil, errs.New(errs.Forbidden, "writing to the data folder: %w; choose another with --data or data_dir", err)
	}
	if err := lock.File().Truncate(0); err == nil {
		_, _ = fmt.Fprintf(lock.File(), "%d\n", os.Getpid())
	}
	return lock.Release, nil
}
