package disk

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// ErrLocked says that another process, or another part of this one, has the
// lock.
var ErrLocked = errors.New("the file is locked")

// Lock is a lock on a file (flock(2)), which ends with the process at the
// latest.
type Lock struct {
	file *os.File
	once sync.Once
	err  error
}

// TakeLock makes the file if there is none and takes its lock, or returns
// ErrLocked at once. Whoever may write to the folder may take it.
func TakeLock(path string) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrLocked
		}
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return &Lock{file: f}, nil
}

// File is the file, for what its holder writes into it.
func (l *Lock) File() *os.File { return l.file }

// Release lets the lock go; further calls do nothing. Closing the file alone
// would not do: a child that this process starts just now has the descriptor,
// and with it the lock, until it runs its own program.
func (l *Lock) Release() error {
	l.once.Do(func() {
		l.err = errors.Join(syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN), l.file.Close())
	})
	return l.err
}
