package peel

import (
	"context"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/base/errs"
)

// onlyOne keeps a second agent from running on the same folder: two processes
// with one key look to the masters like a copied host, and both would be kept
// off the bus. The system lets go of the lock when the process ends.
type onlyOne struct {
	dir  string
	file *os.File
}

// Start takes the folder.
func (o *onlyOne) Start(context.Context) error {
	file, err := os.OpenFile(filepath.Join(o.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return errs.New(errs.Forbidden, "writing to the data folder: %w; run this as the user that owns it", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		return errs.New(errs.Conflict, "another rind-peel runs on the data folder %s; stop it first, since two with one key would both be kept off the bus", o.dir)
	}
	o.file = file
	return nil
}

// Stop lets it go.
func (o *onlyOne) Stop(context.Context) error {
	if o.file == nil {
		return nil
	}
	file := o.file
	o.file = nil
	return file.Close()
}
