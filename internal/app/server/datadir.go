package server

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/base/errs"
)

// lockDataDir makes the data folder and takes it for this process. Others may
// pass through it, to the socket; what is secret lies in folders of its own.
func lockDataDir(dir string) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, errs.New(errs.Forbidden, "making the data folder: %w; choose another with --data or data_dir", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, errs.New(errs.Forbidden, "writing to the data folder: %w; choose another with --data or data_dir", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		return nil, errs.New(errs.Conflict, "another server runs on the data folder %s: stop it, or choose another folder with --data", dir)
	}
	if err := file.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(file, "%d\n", os.Getpid())
	}
	return file.Close, nil
}
