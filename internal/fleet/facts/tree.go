package facts

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode"
)

// tree reads below a root, with limits.
type tree struct{ root string }

func (t tree) path(rel string) string {
	if t.root == "" {
		return "/" + rel
	}
	return filepath.Join(t.root, rel)
}

// read returns a file's beginning, or "" when there is none. It does not wait
// for a writer when the file is a pipe.
func (t tree) read(rel string) string {
	f, err := os.OpenFile(t.path(rel), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, MaxFile)) // what was read before an error counts
	return string(b)
}

// line returns the first line of a file.
func (t tree) line(rel string) string {
	s, _, _ := strings.Cut(t.read(rel), "\n")
	return clean(s)
}

func (t tree) exists(rel string) bool {
	_, err := os.Stat(t.path(rel))
	return err == nil
}

// list returns the names in a folder, sorted, at most MaxList.
func (t tree) list(rel string) []string {
	entries, _ := os.ReadDir(t.path(rel))
	var names []string
	for _, e := range entries {
		if len(names) == MaxList {
			break
		}
		names = append(names, e.Name())
	}
	return names
}

// clean makes a string fit to be a fact: valid UTF-8 without control
// characters and outer blanks, at most MaxString bytes.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.TrimSpace(s)
	if len(s) > MaxString {
		s = strings.ToValidUTF8(s[:MaxString], "")
	}
	return s
}
