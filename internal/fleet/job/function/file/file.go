// Package file holds the functions that read and change files. Paths are
// absolute. Files are replaced as a whole, so that no reader sees half of one,
// and links are not followed unless that is asked for: on a folder that
// somebody else may write to, a link is that person's choice of a file.
package file

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// Limits.
const (
	maxRead = 1 << 20  // of a file that is returned as a whole
	maxEdit = 8 << 20  // of a file that is changed
	maxTree = 1 << 20  // files that are looked at
	maxPath = 4 << 10  // PATH_MAX
	maxHash = 64 << 30 // of a file that is hashed
)

// Runs are the functions file.*.
func Runs(s *local.System) map[string]schema.Run {
	return map[string]schema.Run{
		"file.read": read(s), "file.stat": stat(s), "file.find": find(s), "file.hash": hash(s),
		"file.write": write(s), "file.append": appendLines(s), "file.replace": replace(s), "file.remove": remove(s),
		"file.mkdir": mkdir(s), "file.chmod": chmod(s), "file.chown": chown(s),
	}
}

// where is the path of a call on the host, checked, and below the root.
func where(s *local.System, args schema.Values) (name, path string, err error) {
	name = args.Text("path")
	if !filepath.IsAbs(name) || len(name) > maxPath {
		return "", "", errs.New(errs.Invalid, "%s is no absolute path", schema.Clip(name))
	}
	name = filepath.Clean(name)
	return name, s.Path(name), nil
}

// open opens a regular file for reading; it does not wait, nor follow a last
// link unless told to.
func open(name, path string, follow bool) (*os.File, os.FileInfo, error) {
	flags := os.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	if !follow {
		flags |= unix.O_NOFOLLOW
	}
	f, err := os.OpenFile(path, flags, 0)
	if err != nil {
		if info, e := os.Lstat(path); e == nil && !follow && info.Mode()&fs.ModeSymlink != 0 {
			return nil, nil, errLink(name)
		}
		return nil, nil, local.FileError("opening", name, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errs.New(errs.Invalid, "%s is no file but a %s", name, kind(info.Mode()))
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

func errLink(name string) error {
	return errs.New(errs.Invalid, "%s is a link; follow=true takes what it points to", name)
}

// kind is the type of a file in a word.
func kind(m fs.FileMode) string {
	switch {
	case m.IsRegular():
		return "file"
	case m.IsDir():
		return "folder"
	case m&fs.ModeSymlink != 0:
		return "link"
	case m&fs.ModeNamedPipe != 0:
		return "pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeDevice != 0:
		return "device"
	}
	return "other"
}

// parseMode reads octal digits.
func parseMode(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 8, 32)
	if err != nil || n > 0o7777 {
		return 0, errs.New(errs.Invalid, "mode is to be octal digits such as 0644, not %s", schema.Clip(text))
	}
	return uint32(n), nil
}

// octal writes a permission with its special bits as chmod(1) takes it.
func octal(m fs.FileMode) string {
	n := uint32(m.Perm())
	for _, b := range []struct {
		bit   fs.FileMode
		value uint32
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if m&b.bit != 0 {
			n |= b.value
		}
	}
	return digits(n)
}

func digits(n uint32) string {
	s := strconv.FormatUint(uint64(n), 8)
	for len(s) < 4 {
		s = "0" + s
	}
	return s
}
