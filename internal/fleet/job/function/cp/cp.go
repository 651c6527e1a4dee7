// Package cp holds the functions that bring files of any size between the host
// and the server, chunk by chunk. Either side may be interrupted: what is there
// already is not sent again.
package cp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// transfers is how many there are at the same time. Others wait.
const transfers = 2

// maxPath is PATH_MAX.
const maxPath = 4 << 10

// room is the places for transfers of this process.
type room chan struct{}

// Runs are the functions cp.*.
func Runs(s *local.System) map[string]schema.Run {
	r := make(room, transfers)
	return map[string]schema.Run{"cp.get": r.one(get(s)), "cp.push": r.one(push(s))}
}

// one runs a transfer when there is a place for it.
func (r room) one(run schema.Run) schema.Run {
	return func(ctx context.Context, c schema.Call) (schema.Result, error) {
		select {
		case r <- struct{}{}:
			defer func() { <-r }()
			return run(ctx, c)
		case <-ctx.Done():
			return schema.Result{}, errs.New(errs.Unavailable, "%d other transfers of this host took all the time there was", transfers)
		}
	}
}

// where is a path of a call on the host, checked, and below the root.
func where(s *local.System, name string) (clean, path string, err error) {
	if !filepath.IsAbs(name) || len(name) > maxPath {
		return "", "", errs.New(errs.Invalid, "%s is no absolute path", schema.Clip(name))
	}
	clean = filepath.Clean(name)
	return clean, s.Path(clean), nil
}

// openFile opens a regular file, without waiting and without following a last
// link.
func openFile(name, path string) (*os.File, fs.FileInfo, error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, nil, errs.New(errs.Invalid, "%s is no regular file; name the file itself", name)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, local.FileError("opening", name, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errs.New(errs.Invalid, "%s is no regular file; name the file itself", name)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// hash reads to the end, unless the context ends before.
func hash(ctx context.Context, name string, f io.Reader) (string, error) {
	whole := sha256.New()
	if _, err := io.CopyBuffer(whole, reader{ctx, f}, make([]byte, 1<<20)); err != nil {
		return "", local.FileError("reading", name, err)
	}
	return hex.EncodeToString(whole.Sum(nil)), nil
}

// reader ends with a context.
type reader struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, fmt.Errorf("the job's time is over: %w", err)
	}
	return r.r.Read(p)
}
