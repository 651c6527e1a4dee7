// Package local is how functions touch the host: files below a root, and
// programs through a runner, both with limits. Tests give another root and
// another runner. What is read may be written by anybody on the host.
package local

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode"

	"github.com/rind-project/rind/internal/base/errs"
)

// Limits of what is read.
const (
	MaxFile = 8 << 20 // bytes of a file of the system, such as /etc/group
	MaxRows = 50000   // rows of a list that goes out
	maxLine = 4 << 10
)

// System is the host. The zero value with a Runner is this host.
type System struct {
	Root string // "" is the host's own
	Run  Runner
}

// Host is this host.
func Host() *System { return &System{Run: Exec} }

// Path is a path of the host below the root.
func (s *System) Path(path string) string {
	if s.Root == "" {
		return "/" + strings.TrimPrefix(path, "/")
	}
	return filepath.Join(s.Root, path)
}

// Exists reports whether there is something at a path.
func (s *System) Exists(path string) bool {
	_, err := os.Stat(s.Path(path))
	return err == nil
}

// Read returns a file of the system, up to MaxFile. It does not wait for a
// writer when the file is a pipe.
func (s *System) Read(path string) (string, error) {
	f, err := os.OpenFile(s.Path(path), os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return "", FileError("reading", path, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxFile))
	if err != nil {
		return "", FileError("reading", path, err)
	}
	return string(b), nil
}

// Line returns the first line of a file, "" when it cannot be read.
func (s *System) Line(path string) string {
	text, _ := s.Read(path) // what is not there has no line
	line, _, _ := strings.Cut(text, "\n")
	return Clean(line)
}

// FileError gives an error of the file system its kind. The message has the
// path once.
func FileError(doing, path string, err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	kind := errs.Internal
	switch {
	case errors.Is(err, fs.ErrNotExist):
		kind = errs.NotFound
	case errors.Is(err, fs.ErrPermission):
		kind = errs.Forbidden
	case errors.Is(err, fs.ErrExist):
		kind = errs.Conflict
	}
	return errs.New(kind, "%s %s: %w", doing, path, err)
}

// Clean makes a text of the host fit for a cell of a table: valid UTF-8,
// without control characters and outer blanks, of bounded length.
func Clean(s string) string {
	if len(s) > maxLine {
		s = s[:maxLine]
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")))
}

// Root fails when the peel is not root.
func Root(what string) error {
	if uid := os.Geteuid(); uid != 0 {
		return errs.New(errs.Forbidden, "%s needs root; this peel runs as uid %d", what, uid)
	}
	return nil
}

// Change is what a function that changes the host returns.
type Change struct {
	Changed bool   `json:"changed"`
	Test    bool   `json:"test,omitempty"` // nothing was changed: it would be
	Old     any    `json:"old,omitempty"`
	New     any    `json:"new,omitempty"`
	Diff    string `json:"diff,omitempty"`
	Comment string `json:"comment,omitempty"`
}

// Commentf is a change with a sentence.
func (c Change) Commentf(format string, args ...any) Change {
	c.Comment = fmt.Sprintf(format, args...)
	return c
}
