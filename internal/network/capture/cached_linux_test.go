package capture

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCachedReads reads a file with buffers of odd sizes, in memory and after
// the system was asked to forget it, and one of a file system that copies
// nothing without waiting.
func TestCachedReads(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	text := make([]byte, 3<<20+17)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range text {
		text[i] = byte(r.Uint32())
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	forget := func(f *os.File) {
		if err := errors.Join(f.Sync(), unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)); err != nil {
			t.Fatal(err)
		}
	}
	version, err := os.ReadFile("/proc/version")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, path string
		want       []byte
		before     func(*os.File)
		deaf       bool
	}{
		{"in memory", path, text, func(*os.File) {}, false},
		{"forgotten", path, text, forget, false},
		{"no such call", "/proc/version", version, func(*os.File) {}, true},
	} {
		f, err := os.Open(c.path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		c.before(f)
		in := readerOf(f)
		var got []byte
		for b := make([]byte, 100_003); ; {
			n, err := in.Read(b[:1+r.IntN(len(b))])
			got = append(got, b[:n]...)
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Errorf("%s: %v", c.name, err)
				}
				break
			}
		}
		if !bytes.Equal(got, c.want) {
			t.Errorf("%s: %d bytes, not the %d of the file", c.name, len(got), len(c.want))
		}
		if deaf := in.(*cached).deaf; c.deaf && !deaf {
			t.Errorf("%s: deaf is %t", c.name, deaf)
		}
	}
}

// TestCachedAfterClose reads nothing by a descriptor that may be another's.
func TestCachedAfterClose(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	in := readerOf(f)
	f.Close()
	if n, err := in.Read(make([]byte, 10)); n != 0 || !errors.Is(err, os.ErrClosed) {
		t.Errorf("%d bytes, %v", n, err)
	}
}
