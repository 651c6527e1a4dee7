package cp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/blob"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// Got is what cp.get returns.
type Got struct {
	Path    string `json:"path"`
	Size    int64  `json:"size_bytes"`
	Changed bool   `json:"changed"`                 // the content, or who may do what with it
	Resumed int64  `json:"resumed_bytes,omitempty"` // bytes that were there from an earlier try
}

func get(s *local.System) schema.Run {
	return func(ctx context.Context, c schema.Call) (schema.Result, error) {
		sum := c.Args.Text("name")
		if err := blob.CheckSum(sum); err != nil {
			return schema.Result{}, err
		}
		name, path, err := where(s, c.Args.Text("dest"))
		if err != nil {
			return schema.Result{}, err
		}
		info, err := target(name, path)
		if err != nil {
			return schema.Result{}, err
		}
		want, err := wanted(s, c.Args, info)
		if err != nil {
			return schema.Result{}, err
		}
		d := download{host: c.Host, name: name, path: path, sum: sum}
		if info != nil {
			if same, err := d.same(ctx); err != nil {
				return schema.Result{}, err
			} else if same {
				changed, err := settle(path, want, info)
				return schema.Result{Value: Got{Path: name, Size: info.Size(), Changed: changed}}, err
			}
		}
		size, err := d.run(ctx, want)
		return schema.Result{Value: Got{Path: name, Size: size, Changed: true, Resumed: d.resumed}}, err
	}
}

// target looks at what is where the file goes; nil is nothing.
func target(name, path string) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, local.FileError("looking at", name, err)
	case info.IsDir():
		return nil, errs.New(errs.Invalid, "%s is a folder; name the file in it", name)
	case !info.Mode().IsRegular():
		return nil, errs.New(errs.Invalid, "%s is no regular file, and nothing takes its place", name)
	}
	return info, nil
}

// download is a file on its way down.
type download struct {
	host       schema.Host
	name, path string
	sum        string
	resumed    int64
}

// same reports whether the file is there already.
func (d *download) same(ctx context.Context) (bool, error) {
	f, _, err := openFile(d.name, d.path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	sum, err := hash(ctx, d.name, f)
	return sum == d.sum, err
}

// partial is the file beside the destination that grows. Its name tells what it
// is to become, so that a later job goes on with it.
func (d *download) partial() string {
	return filepath.Join(filepath.Dir(d.path), ".rind-"+d.sum[:16]+".part")
}

// openPartial opens or makes the partial file, and takes it for this transfer
// alone. What somebody else has put there is removed.
func (d *download) openPartial() (*os.File, error) {
	path := d.partial()
	for range 3 {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
		if err == nil {
			var mine bool
			if mine, err = own(f); err == nil && mine {
				return f, nil
			}
			f.Close()
			if err != nil {
				return nil, err
			}
		} else if !errors.Is(err, unix.ELOOP) && !errors.Is(err, unix.ENXIO) {
			return nil, local.FileError("writing beside", d.name, err)
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, local.FileError("clearing what is beside", d.name, err)
		}
	}
	return nil, errs.New(errs.Conflict, "somebody keeps changing %s", path)
}

// own reports whether a partial file is a file of our own that nobody else can
// write to, and locks it. A lock that another transfer holds is an error.
func own(f *os.File) (bool, error) {
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() || int(sys.Uid) != os.Geteuid() || sys.Nlink != 1 || info.Mode().Perm()&0o077 != 0 {
		return false, nil
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return false, errs.New(errs.Conflict, "the same file is on its way to the same folder already")
	} else if err != nil {
		return false, err
	}
	// It may have been renamed by who held the lock before.
	now, err := os.Lstat(f.Name())
	return err == nil && os.SameFile(info, now), nil
}

// run gets what is missing and puts the file in place.
func (d *download) run(ctx context.Context, want attribute) (size int64, err error) {
	f, err := d.openPartial()
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if size, err = d.fill(ctx, f); err != nil {
		return 0, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, local.FileError("reading beside", d.name, err)
	}
	sum, err := hash(ctx, d.name, f)
	if err != nil {
		return 0, err
	}
	if sum != d.sum {
		_ = os.Remove(f.Name()) // the next try begins anew
		return 0, errs.New(errs.Conflict, "what has come is not the file with this hash; the next try begins anew")
	}
	if err := d.place(f, want); err != nil {
		return 0, local.FileError("writing", d.name, err)
	}
	return size, nil
}

// fill gets the chunks that are not there. A partial file that is longer than
// the whole is begun anew.
func (d *download) fill(ctx context.Context, f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, local.FileError("looking beside", d.name, err)
	}
	next := int(max(0, info.Size()-1) / blob.Chunk) // the last that is there comes again, as a whole
	h, b, err := d.chunk(ctx, next, info.Size() > 0)
	if err == nil && h == nil || err == nil && info.Size() > h.Size {
		next = 0
		h, b, err = d.chunk(ctx, 0, false)
	}
	if err != nil {
		return 0, err
	}
	if err := fits(f, h.Size-int64(next)*blob.Chunk, d.name); err != nil {
		return 0, err
	}
	d.resumed = int64(next) * blob.Chunk
	for {
		if len(b) != blob.ChunkLen(h.Size, next) {
			return 0, errs.New(errs.Internal, "chunk %d has %d bytes, and not %d", next, len(b), blob.ChunkLen(h.Size, next))
		}
		if _, err := f.WriteAt(b, int64(next)*blob.Chunk); err != nil {
			return 0, local.FileError("writing beside", d.name, err)
		}
		if next++; next >= blob.Chunks(h.Size) {
			break
		}
		size := h.Size
		if h, b, err = d.chunk(ctx, next, false); err != nil {
			return 0, err
		}
		if h.Size != size {
			return 0, errs.New(errs.Internal, "the file has %d bytes now, and had %d", h.Size, size)
		}
	}
	return h.Size, f.Truncate(h.Size)
}

// chunk asks for a chunk. When it may be missing, because the partial file is
// too long, a refusal gives no header.
func (d *download) chunk(ctx context.Context, n int, mayMiss bool) (*blob.Header, []byte, error) {
	req, err := json.Marshal(blob.Header{SHA256: d.sum, N: n})
	if err != nil {
		return nil, nil, err
	}
	answer, err := d.host.Ask(ctx, blob.AskGet, req)
	if err != nil {
		if mayMiss && ctx.Err() == nil {
			return nil, nil, nil
		}
		return nil, nil, fmt.Errorf("getting %s: %w", d.name, err)
	}
	h, b, err := blob.Unpack(answer)
	if err == nil && (h.SHA256 != d.sum || h.N != n) {
		err = errs.New(errs.Internal, "chunk %d of another file came", h.N)
	}
	return &h, b, err
}

// fits refuses a file that the disk has no room for.
func fits(f *os.File, more int64, name string) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return nil //nolint:nilerr // then writing will tell
	}
	if free := int64(st.Bavail) * int64(st.Bsize); more > free { //nolint:unconvert // the types differ between systems
		return errs.New(errs.TooLarge, "%s needs %d bytes more, and its file system has %d", name, more, free)
	}
	return nil
}
