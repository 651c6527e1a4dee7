package file

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

func write(s *local.System) schema.Run {
	return func(_ context.Context, c schema.Call) (schema.Result, error) {
		content := c.Args.Text("content")
		if c.Args.Text("encoding") == "base64" {
			b, err := base64.StdEncoding.DecodeString(content)
			if err != nil {
				return schema.Result{}, errs.New(errs.Invalid, "the content is no base64: %w", err)
			}
			content = string(b)
		}
		return edit(s, c.Args, func(string, bool) (string, string, error) { return content, "", nil })
	}
}

// appendLines adds the lines that the file does not have.
func appendLines(s *local.System) schema.Run {
	return func(_ context.Context, c schema.Call) (schema.Result, error) {
		return edit(s, c.Args, func(old string, _ bool) (string, string, error) {
			have := map[string]bool{}
			for line := range strings.SplitSeq(old, "\n") {
				have[line] = true
			}
			out := old
			if out != "" && !strings.HasSuffix(out, "\n") {
				out += "\n"
			}
			added := false
			for line := range strings.SplitSeq(strings.TrimSuffix(c.Args.Text("text"), "\n"), "\n") {
				if !have[line] {
					out, added, have[line] = out+line+"\n", true, true
				}
			}
			if !added {
				return old, "the file has these lines already", nil
			}
			return out, "", nil
		})
	}
}

func replace(s *local.System) schema.Run {
	return func(_ context.Context, c schema.Call) (schema.Result, error) {
		pattern, by := c.Args.Text("pattern"), c.Args.Text("replacement")
		literal := c.Args.Bool("literal")
		if literal {
			pattern = regexp.QuoteMeta(pattern)
		}
		re, err := regexp.Compile("(?m)" + pattern)
		if err != nil {
			return schema.Result{}, errs.New(errs.Invalid, "the pattern is no regular expression: %w", err)
		}
		return edit(s, c.Args, func(old string, exists bool) (string, string, error) {
			if !exists {
				return "", "", errs.New(errs.NotFound, "there is no file %s", c.Args.Text("path"))
			}
			if !re.MatchString(old) {
				return old, "the pattern does not match", nil
			}
			if literal {
				return re.ReplaceAllLiteralString(old, by), "", nil
			}
			return re.ReplaceAllString(old, by), "", nil
		})
	}
}

// edit reads a file, has its content changed, and puts the new one in place.
func edit(s *local.System, args schema.Values, change func(old string, exists bool) (string, string, error)) (schema.Result, error) {
	name, path, err := where(s, args)
	if err != nil {
		return schema.Result{}, err
	}
	if args.Bool("follow") {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
	}
	old, info, err := current(name, path)
	if err != nil {
		return schema.Result{}, err
	}
	want, err := wanted(s, args, info)
	if err != nil {
		return schema.Result{}, err
	}
	content, comment, err := change(old, info != nil)
	if err != nil {
		return schema.Result{}, err
	}
	if len(content) > maxEdit {
		return schema.Result{}, errs.New(errs.TooLarge, "%s would have %d bytes, at most %d are written", name, len(content), maxEdit)
	}
	was := attributes(info)
	out := local.Change{Diff: local.Diff(old, content), Test: args.Bool("test"), Comment: comment}
	out.Changed = info == nil || old != content || *want != *was
	if *want != *was {
		out.Old, out.New = was.show(s.Names()), want.show(s.Names())
	}
	if info == nil {
		out.Comment = "the file is new"
	}
	if !out.Changed || out.Test {
		return schema.Result{Value: out}, nil
	}
	if info == nil && args.Bool("parents") {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return schema.Result{}, local.FileError("making the folder of", name, err)
		}
	}
	if err := put(path, content, want); err != nil {
		return schema.Result{}, local.FileError("writing", name, err)
	}
	return schema.Result{Value: out}, nil
}

// current reads what is there; info is nil when nothing is.
func current(name, path string) (string, os.FileInfo, error) {
	f, info, err := open(name, path, false)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxEdit+1))
	if err != nil {
		return "", nil, local.FileError("reading", name, err)
	}
	if len(b) > maxEdit {
		return "", nil, errs.New(errs.TooLarge, "%s has more than %d bytes, which is too much to be changed here", name, maxEdit)
	}
	return string(b), info, nil
}

// put writes beside the file, with everything as it is to be before the name
// changes hands, and has both on the disk before it returns.
func put(path, content string, want *attribute) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".rind-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			_ = os.Remove(f.Name()) // gone already, if it was renamed
		}
	}()
	if _, err = f.WriteString(content); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if is := attributes(info); is.uid != want.uid || is.gid != want.gid {
		if err = f.Chown(int(want.uid), int(want.gid)); err != nil {
			return err
		}
	}
	// After the owner, whose change takes special bits away.
	if err = syscall.Fchmod(int(f.Fd()), want.mode); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(dir)
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) { // not every file system can
		return err
	}
	return nil
}
