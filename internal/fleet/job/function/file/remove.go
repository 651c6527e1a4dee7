package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// kept are folders without which no host lives; all that stands directly below
// the root is kept too.
var kept = map[string]bool{
	"/usr/bin": true, "/usr/sbin": true, "/usr/lib": true, "/usr/lib64": true, "/usr/libexec": true, "/usr/share": true, "/usr/local": true,
	"/var/lib": true, "/var/log": true, "/var/spool": true, "/var/cache": true, "/etc/ssh": true, "/etc/systemd": true, "/etc/pam.d": true,
}

// remove takes a name away, and with recursive all that is below it.
func remove(s *local.System) schema.Run {
	return func(ctx context.Context, c schema.Call) (schema.Result, error) {
		name, path, err := where(s, c.Args)
		if err != nil {
			return schema.Result{}, err
		}
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return schema.Result{Value: local.Change{Test: c.Args.Bool("test")}.Commentf("there is no %s", name)}, nil
		}
		if err != nil {
			return schema.Result{}, local.FileError("looking at", name, err)
		}
		count, err := removable(ctx, name, path, info, c.Args.Bool("recursive"))
		if err != nil {
			return schema.Result{}, err
		}
		out := local.Change{Changed: true, Test: c.Args.Bool("test"), Old: describe(s.Names(), name, path, info)}
		if count > 1 {
			out = out.Commentf("%d files altogether", count)
		}
		switch {
		case out.Test:
		case c.Args.Bool("recursive"):
			err = os.RemoveAll(path)
		default:
			err = os.Remove(path)
		}
		if err != nil {
			return schema.Result{}, local.FileError("removing", name, err)
		}
		return schema.Result{Value: out}, nil
	}
}

// removable refuses what nobody means to remove, and counts the rest.
func removable(ctx context.Context, name, path string, info fs.FileInfo, recursive bool) (int, error) {
	if !info.IsDir() {
		return 1, nil
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return 0, local.FileError("looking at", name, err)
	}
	for _, p := range []string{name, real} {
		if kept[p] || strings.Count(p, "/") == 1 {
			return 0, errs.New(errs.Forbidden, "%s is a folder of the system and is not removed", p)
		}
	}
	count := 0
	w := &walk{ctx: ctx, recursive: recursive}
	w.visit = func(int, *unix.Stat_t, int) error { count++; return nil }
	w.foreign = func(rel string) error {
		return errs.New(errs.Forbidden, "%s has another file system mounted in it, at %s; unmount it first", name, schema.Clip(rel))
	}
	if err := w.begin(path); err != nil {
		return 0, err
	}
	if !recursive {
		entries, err := os.ReadDir(path)
		if err == nil && len(entries) > 0 {
			return 0, errs.New(errs.Conflict, "%s is a folder with %d files in it; recursive=true removes them too", name, len(entries))
		}
	}
	return count, nil
}

func mkdir(s *local.System) schema.Run {
	return func(_ context.Context, c schema.Call) (schema.Result, error) {
		name, path, err := where(s, c.Args)
		if err != nil {
			return schema.Result{}, err
		}
		info, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			info = nil
		case err != nil:
			return schema.Result{}, local.FileError("looking at", name, err)
		case !info.IsDir():
			return schema.Result{}, errs.New(errs.Conflict, "%s is there already, as a %s", name, kind(info.Mode()))
		}
		want, err := wanted(s, c.Args, info)
		if err != nil {
			return schema.Result{}, err
		}
		if info == nil && c.Args.Text("mode") == "" {
			want.mode = 0o755
		}
		was := attributes(info)
		out := local.Change{Changed: *was != *want, Test: c.Args.Bool("test")}
		if out.Changed {
			out.Old, out.New = was.show(s.Names()), want.show(s.Names())
		}
		if !out.Changed || out.Test {
			return schema.Result{Value: out}, nil
		}
		if err := makeFolder(path, info == nil, c.Args.Bool("parents"), *want); err != nil {
			return schema.Result{}, local.FileError("making the folder", name, err)
		}
		return schema.Result{Value: out}, nil
	}
}

func makeFolder(path string, isNew, parents bool, want attribute) error {
	if isNew && parents {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
	}
	if isNew {
		if err := os.Mkdir(path, 0o700); err != nil {
			return err
		}
	}
	w := &walk{ctx: context.Background(), visit: func(fd int, st *unix.Stat_t, _ int) error {
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			return unix.ENOTDIR // somebody put something else in its place
		}
		return set(fd, attribute{mode: st.Mode & 0o7777, uid: st.Uid, gid: st.Gid}, want)
	}}
	return w.begin(path)
}
