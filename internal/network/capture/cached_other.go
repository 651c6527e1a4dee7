//go:build !linux

package capture

import (
	"io"
	"os"
)

// readerOf returns what reads a regular file.
func readerOf(f *os.File) io.Reader { return f }
