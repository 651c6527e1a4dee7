package disk_test

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rind-project/rind/internal/base/disk"
)

// TestLock: one holder at a time, and none after a release, although a copy of
// the descriptor is still open, as in a child that has not begun yet.
func TestLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, err := disk.TakeLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := disk.TakeLock(path); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("taken twice: %v", err)
	}
	copied, err := syscall.Dup(int(first.File().Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(copied) }()
	for range 2 {
		if err := first.Release(); err != nil {
			t.Error(err)
		}
	}
	second, err := disk.TakeLock(path)
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	if err := second.Release(); err != nil {
		t.Error(err)
	}
	if _, err := disk.TakeLock(filepath.Join(path, "below")); err == nil || errors.Is(err, disk.ErrLocked) {
		t.Errorf("where there is no folder: %v", err)
	}
}
