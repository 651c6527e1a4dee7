package pki

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/rind-project/rind/internal/base/disk"
	"github.com/rind-project/rind/internal/base/errs"
)

// maxFile bounds what is read from the folder; its files have some KiB.
const maxFile = 64 << 10

// privateFolder makes the folder, or closes it to others when it exists.
func privateFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return folderError(dir, err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return folderError(dir, err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(dir, 0o700); err != nil {
			return folderError(dir, err)
		}
	}
	return nil
}

// folderError says what to change so that the folder can be written.
func folderError(dir string, err error) error {
	uid := os.Geteuid()
	switch {
	case errors.Is(err, fs.ErrPermission):
		return errs.New(errs.Forbidden, "the folder for keys %s cannot be written as user %d; give it to this user (chown -R %d %s), or choose another data folder: %w", dir, uid, uid, dir, err)
	case errors.Is(err, syscall.EROFS):
		return errs.New(errs.Forbidden, "the folder for keys %s is on a file system that is read-only; choose another data folder: %w", dir, err)
	case errors.Is(err, syscall.ENOTDIR):
		return errs.New(errs.Invalid, "the folder for keys %s cannot be made, since a part of its path is a file; choose another data folder: %w", dir, err)
	}
	return errs.New(errs.Unavailable, "the folder for keys %s cannot be used: %w", dir, err)
}

// lockFolder keeps other processes out until unlock is called.
func lockFolder(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, folderError(dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	return func() { _ = f.Close() }, nil // closing gives the lock up
}

// readPrivate reads a file of the folder, and refuses one that others can read.
func readPrivate(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, readError(file, err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, errs.New(errs.Forbidden, "%s is open to other users (mode %04o); close it: chmod 600 %s", file, mode, file)
	}
	text, err := readLimited(file, maxFile)
	if err != nil {
		return nil, readError(file, err)
	}
	return text, nil
}

func readError(file string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return errs.New(errs.Forbidden, "%s cannot be read as user %d; give it to this user: chown %d %s: %w", file, os.Geteuid(), os.Geteuid(), file, err)
	}
	return fmt.Errorf("reading %s: %w", file, err)
}

// readLimited reads a whole file and refuses one over the limit.
func readLimited(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, errs.New(errs.TooLarge, "%s has more than %d bytes", file, limit)
	}
	return text, nil
}

// writePrivate replaces a file, mode 0600, by one that is complete and on disk.
func writePrivate(file string, text []byte) error {
	if err := disk.WriteFile(file, text); err != nil {
		return folderError(filepath.Dir(file), err)
	}
	return nil
}
