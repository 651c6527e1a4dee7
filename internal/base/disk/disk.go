// Package disk replaces files so that a crash leaves the old one or the new
// one, whole, and locks them.
package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// TempSuffix ends the names of files that are being written. One that a crash
// left behind may be removed by whoever owns the folder.
const TempSuffix = ".tmp"

// WriteFile replaces a file, readable by its owner alone, in one step. File
// and folder are synced: when it returns nil, the content survives an end of
// the machine.
func WriteFile(path string, data []byte) error { return WriteParts(path, data) }

// WriteParts is WriteFile for a content that lies in several places.
func WriteParts(path string, parts ...[]byte) error { return replace(path, parts, true) }

// ReplaceFile does what WriteFile does without waiting for the disk: an end of
// the process leaves the old content or the new, an end of the machine maybe
// neither.
func ReplaceFile(path string, data []byte) error { return replace(path, [][]byte{data}, false) }

func replace(path string, parts [][]byte, sync bool) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*"+TempSuffix) // mode 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	for i := 0; i < len(parts) && err == nil; i++ {
		_, err = f.Write(parts[i])
	}
	if err == nil && sync {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // a leftover is known by its name
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if !sync {
		return nil
	}
	return syncDir(dir)
}

// syncDir makes the names in a folder survive an end of the machine.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("syncing %s: %w", dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("syncing %s: %w", dir, err)
	}
	return nil
}
