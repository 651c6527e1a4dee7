package capture_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network/capture"
)

func namedPipe(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestOpenPipeWaitsForItsWriter reads a pipe whose writer comes later, and
// pauses between two records.
func TestOpenPipeWaitsForItsWriter(t *testing.T) {
	t.Parallel()
	path := namedPipe(t)
	wrote := make(chan error, 1)
	go func() {
		time.Sleep(100 * time.Millisecond)
		w, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			wrote <- err
			return
		}
		all := pcapFile(binary.LittleEndian, 0xa1b2c3d4, 1, "abc", "de")
		_, err = w.Write(all[:50])
		time.Sleep(100 * time.Millisecond)
		_, err2 := w.Write(all[50:])
		wrote <- errors.Join(err, err2, w.Close())
	}()
	f, err := capture.OpenFile(t.Context(), path, capture.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var s sink
	if _, err := f.Read(&s, 0); !errors.Is(err, io.EOF) || len(s) != 2 {
		t.Errorf("%d records, %v", len(s), err)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
}

// TestOpenPipeEndsWithContext: neither a pipe without a writer nor one whose
// writer is silent keeps the reader.
func TestOpenPipeEndsWithContext(t *testing.T) {
	t.Parallel()
	for name, silent := range map[string]bool{"no writer": false, "a silent writer": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := namedPipe(t)
			if silent {
				w, err := os.OpenFile(path, os.O_RDWR, 0) // of both ends, so that opening does not wait
				if err != nil {
					t.Fatal(err)
				}
				defer w.Close()
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			began := time.Now()
			_, err := capture.OpenFile(ctx, path, capture.FileOptions{})
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 5*time.Second {
				t.Errorf("after %s: %v", time.Since(began), err)
			}
		})
	}
}
