package cp

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// attribute is who may do what with a file.
type attribute struct{ mode, uid, gid uint32 }

// of are the attributes of a file.
func of(info fs.FileInfo) attribute {
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return attribute{}
	}
	return attribute{mode: sys.Mode & 0o7777, uid: sys.Uid, gid: sys.Gid}
}

// wanted is what the arguments ask for, beside what is there.
func wanted(s *local.System, args schema.Values, info fs.FileInfo) (attribute, error) {
	want := attribute{mode: 0o644, uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}
	if info != nil {
		want = of(info)
	}
	if text := args.Text("mode"); text != "" {
		n, err := strconv.ParseUint(text, 8, 32)
		if err != nil || n > 0o7777 {
			return want, errs.New(errs.Invalid, "mode is to be octal digits such as 0644, not %s", schema.Clip(text))
		}
		want.mode = uint32(n)
	}
	if text := args.Text("user"); text != "" {
		uid, err := s.UID(text)
		if err != nil {
			return want, err
		}
		want.uid = uint32(uid)
	}
	if text := args.Text("group"); text != "" {
		gid, err := s.GID(text)
		if err != nil {
			return want, err
		}
		want.gid = uint32(gid)
	}
	return want, nil
}

// give makes an open file what is wanted. The owner comes first: its change
// takes special bits away.
func give(f *os.File, want attribute) (changed bool, err error) {
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	is := of(info)
	if is.uid != want.uid || is.gid != want.gid {
		if err := f.Chown(int(want.uid), int(want.gid)); err != nil {
			return false, err
		}
	}
	return is != want, syscall.Fchmod(int(f.Fd()), want.mode)
}

// settle makes a file that is there already what is wanted.
func settle(path string, want attribute, info fs.FileInfo) (changed bool, err error) {
	if of(info) == want {
		return false, nil
	}
	f, _, err := openFile(path, path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	return give(f, want)
}

// place gives the whole file its name, with everything as it is to be before,
// and has both on the disk before it returns.
func (d *download) place(f *os.File, want attribute) error {
	if _, err := give(f, want); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), d.path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(d.path))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) { // not every file system can
		return err
	}
	return nil
}
