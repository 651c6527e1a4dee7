package disk

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func inParts(path string, data []byte) error { return WriteParts(path, data[:1], nil, data[1:]) }

func TestReplace(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(string, []byte) error{"WriteFile": WriteFile, "ReplaceFile": ReplaceFile, "WriteParts": inParts} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "key")
			if err := os.WriteFile(path, []byte("old and longer"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := write(path, []byte("new")); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil || string(got) != "new" {
				t.Errorf("it holds %q (%v)", got, err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
				t.Errorf("its mode is %v (%v)", info.Mode(), err)
			}
			alone(t, dir, "key")
		})
	}
}

// TestFailures checks that what cannot be written leaves the old file, and
// nothing beside it.
func TestFailures(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := WriteFile(filepath.Join(dir, "none", "key"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that is not there: %v", err)
	}
	taken := filepath.Join(dir, "taken")
	if err := os.Mkdir(taken, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(taken, []byte("x")); err == nil || !strings.Contains(err.Error(), "writing "+taken) {
		t.Errorf("over a folder: %v", err)
	}
	alone(t, dir, "taken")
}

// TestReaders checks that somebody who reads meanwhile sees one whole content.
func TestReaders(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	var writers sync.WaitGroup
	for _, c := range []byte("ab") {
		writers.Go(func() {
			for range 50 {
				if err := ReplaceFile(path, bytes.Repeat([]byte{c}, 10_000)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for {
		got, err := os.ReadFile(path)
		if err == nil && (len(got) != 10_000 || bytes.Count(got, got[:1]) != 10_000) {
			t.Fatalf("half a file: %d bytes", len(got))
		}
		select {
		case <-done:
			alone(t, filepath.Dir(path), "file")
			return
		default:
		}
	}
}

func alone(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != name {
		t.Errorf("the folder holds %v (%v), want %s alone", entries, err, name)
	}
}
