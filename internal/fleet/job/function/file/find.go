package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// Found is a row of file.find.
type Found struct {
	Path     string    `json:"path"`
	Type     string    `json:"type"`
	Size     int64     `json:"size_bytes"`
	Mode     string    `json:"mode"`
	Owner    string    `json:"owner"`
	Modified time.Time `json:"modified"`
}

// search is one run of file.find.
type search struct {
	ctx         context.Context
	now         time.Time
	names       local.Names
	args        schema.Values
	name, path  string // where it begins, on the host and below the root
	device      uint64
	looked      int
	unreadable  int
	found       []Found
	limit, deep int
}

// errEnough ends a walk.
var errEnough = errors.New("enough")

func find(s *local.System) schema.Run {
	return func(ctx context.Context, c schema.Call) (schema.Result, error) {
		name, path, err := where(s, c.Args)
		if err != nil {
			return schema.Result{}, err
		}
		if _, err := filepath.Match(c.Args.Text("name"), ""); err != nil {
			return schema.Result{}, errs.New(errs.Invalid, "%s is no glob of names", schema.Clip(c.Args.Text("name")))
		}
		info, err := os.Lstat(path)
		if err != nil {
			return schema.Result{}, local.FileError("looking at", name, err)
		}
		f := &search{ctx: ctx, now: time.Now(), names: s.Names(), args: c.Args, name: name, path: path, device: device(info),
			found: []Found{}, limit: c.Args.Int("limit"), deep: c.Args.Int("depth")}
		err = filepath.WalkDir(path, f.visit)
		res := schema.Result{Value: f.found}
		switch {
		case errors.Is(err, errEnough) && f.looked >= maxTree:
			res.Failed = fmt.Sprintf("there are more than %d files below %s; not all were looked at", maxTree, name)
		case errors.Is(err, errEnough):
			res.Failed = fmt.Sprintf("more than %d files are found; these are the first of them", f.limit)
		case err != nil:
			return schema.Result{}, err
		case f.unreadable > 0:
			res.Failed = fmt.Sprintf("%d folders could not be read", f.unreadable)
		}
		return res, nil
	}
}

func (f *search) visit(path string, d fs.DirEntry, err error) error {
	if f.ctx.Err() != nil {
		return context.Cause(f.ctx)
	}
	if f.looked++; f.looked >= maxTree {
		return errEnough
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) { // what went away meanwhile is not missed
			f.unreadable++
		}
		return nil
	}
	info := infoOf(d)
	if info == nil {
		return nil // it went away meanwhile
	}
	rel, err := filepath.Rel(f.path, path)
	if err != nil {
		return err
	}
	if path != f.path && f.matches(info) {
		if len(f.found) == f.limit {
			return errEnough
		}
		f.found = append(f.found, f.row(filepath.Join(f.name, rel), info))
	}
	if d.IsDir() && path != f.path && (device(info) != f.device || depth(rel) >= f.deep) {
		return fs.SkipDir
	}
	return nil
}

func (f *search) row(name string, info fs.FileInfo) Found {
	row := Found{Path: local.Clean(name), Type: kind(info.Mode()), Size: info.Size(), Mode: octal(info.Mode()), Modified: info.ModTime().UTC().Truncate(time.Second)}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		row.Owner = f.names.User(sys.Uid)
	}
	return row
}

func (f *search) matches(info fs.FileInfo) bool {
	if glob := f.args.Text("name"); glob != "" {
		if ok, _ := filepath.Match(glob, info.Name()); !ok { // the glob was checked
			return false
		}
	}
	if want := f.args.Text("type"); want != "" {
		is := kind(info.Mode())
		if want == "other" {
			if is == "file" || is == "folder" || is == "link" {
				return false
			}
		} else if is != want {
			return false
		}
	}
	if least := f.args.Size("min_size"); least > 0 && (!info.Mode().IsRegular() || info.Size() < least) {
		return false
	}
	age := f.now.Sub(info.ModTime())
	newer, older := f.args.Duration("newer"), f.args.Duration("older")
	return (newer == 0 || age <= newer) && (older == 0 || age >= older)
}

func infoOf(d fs.DirEntry) fs.FileInfo {
	if info, err := d.Info(); err == nil {
		return info
	}
	return nil
}

func depth(rel string) int {
	n := 1
	for _, c := range rel {
		if c == filepath.Separator {
			n++
		}
	}
	return n
}

func device(info fs.FileInfo) uint64 {
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		return sys.Dev
	}
	return 0
}
