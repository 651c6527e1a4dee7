package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

func chmod(s *local.System) schema.Run {
	return func(ctx context.Context, c schema.Call) (schema.Result, error) {
		mode, err := parseMode(c.Args.Text("mode"))
		if err != nil {
			return schema.Result{}, err
		}
		return alter(ctx, s, c.Args, func(a attribute, link bool) attribute {
			if !link { // a link has no permission of its own
				a.mode = mode
			}
			return a
		})
	}
}

func chown(s *local.System) schema.Run {
	return func(ctx context.Context, c schema.Call) (schema.Result, error) {
		user, group, _ := strings.Cut(c.Args.Text("owner"), ":")
		uid, gid := -1, -1
		var err error
		if user != "" {
			if uid, err = s.UID(user); err != nil {
				return schema.Result{}, err
			}
		}
		if group != "" {
			if gid, err = s.GID(group); err != nil {
				return schema.Result{}, err
			}
		}
		if uid < 0 && gid < 0 {
			return schema.Result{}, errs.New(errs.Invalid, "owner is to be USER, USER:GROUP or :GROUP")
		}
		return alter(ctx, s, c.Args, func(a attribute, _ bool) attribute {
			if uid >= 0 {
				a.uid = uint32(uid)
			}
			if gid >= 0 {
				a.gid = uint32(gid)
			}
			return a
		})
	}
}

// alter sets the attributes of a file or of a tree, and counts.
func alter(ctx context.Context, s *local.System, args schema.Values, want func(a attribute, link bool) attribute) (schema.Result, error) {
	name, path, err := where(s, args)
	if err != nil {
		return schema.Result{}, err
	}
	test, changed := args.Bool("test"), 0
	var before, after attribute
	w := &walk{ctx: ctx, recursive: args.Bool("recursive")}
	w.visit = func(fd int, st *unix.Stat_t, depth int) error {
		link := st.Mode&unix.S_IFMT == unix.S_IFLNK
		is := attribute{mode: st.Mode & 0o7777, uid: st.Uid, gid: st.Gid}
		to := want(is, link)
		if depth == 0 {
			before, after = is, to
		}
		if is == to {
			return nil
		}
		changed++
		if test {
			return nil
		}
		return set(fd, is, to)
	}
	if err := w.begin(path); err != nil {
		return schema.Result{}, local.FileError("changing", name, err)
	}
	out := local.Change{Changed: changed > 0, Test: test}
	if before != after {
		out.Old, out.New = before.show(s.Names()), after.show(s.Names())
	}
	if w.recursive {
		out = out.Commentf("%d of %d files differ", changed, w.count)
	}
	return schema.Result{Value: out}, nil
}

// set changes what an O_PATH descriptor stands for, which no link can replace
// meanwhile.
func set(fd int, is, to attribute) error {
	if is.uid != to.uid || is.gid != to.gid {
		if err := unix.Fchownat(fd, "", int(to.uid), int(to.gid), unix.AT_EMPTY_PATH); err != nil {
			return err
		}
	}
	if is.mode != to.mode {
		return os.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), fileMode(to.mode))
	}
	return nil
}

func fileMode(mode uint32) os.FileMode {
	m := os.FileMode(mode & 0o777)
	for bit, value := range map[uint32]os.FileMode{0o4000: os.ModeSetuid, 0o2000: os.ModeSetgid, 0o1000: os.ModeSticky} {
		if mode&bit != 0 {
			m |= value
		}
	}
	return m
}

// walk visits files from their folder's descriptor, so that no link that
// somebody puts in the way leads it elsewhere. It does not leave the file
// system.
type walk struct {
	ctx       context.Context
	recursive bool
	visit     func(fd int, st *unix.Stat_t, depth int) error
	foreign   func(name string) error // asked about a mount point, when it is set
	count     int
	device    uint64
}

// maxDepth bounds the folders that are open at the same time.
const maxDepth = 200

func (w *walk) begin(path string) error { return w.enter(unix.AT_FDCWD, path, 0) }

func (w *walk) enter(dir int, name string, depth int) error {
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	if w.count++; w.count > maxTree || depth > maxDepth {
		return errs.New(errs.TooLarge, "there are more than %d files or %d levels of folders", maxTree, maxDepth)
	}
	fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if depth == 0 {
		w.device = st.Dev
	} else if st.Dev != w.device {
		if w.foreign != nil {
			return w.foreign(name)
		}
		return nil
	}
	if err := w.visit(fd, &st, depth); err != nil {
		return err
	}
	if !w.recursive || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil
	}
	return w.below(fd, depth)
}

func (w *walk) below(fd, depth int) error {
	real, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(real), ".")
	defer f.Close()
	names, err := f.Readdirnames(maxTree)
	if err != nil && len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	for _, n := range names {
		if err := w.enter(fd, n, depth+1); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
