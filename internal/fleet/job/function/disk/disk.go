// Package disk holds the functions about file systems.
package disk

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// Usage is how full a file system is. Available is what is left for others than
// root.
type Usage struct {
	Path      string `json:"path"`
	Device    string `json:"device"`
	Type      string `json:"type"`
	Size      int64  `json:"size_bytes"`
	Used      int64  `json:"used_bytes"`
	Available int64  `json:"available_bytes"`
	Percent   int    `json:"used_percent"`
	Inodes    int    `json:"inodes_percent"`
}

// Runs are the functions disk.*.
func Runs(s *local.System) map[string]schema.Run {
	return map[string]schema.Run{"disk.usage": usage(s)}
}

// maxMounts bounds the file systems that are asked.
const maxMounts = 4096

func usage(s *local.System) schema.Run {
	return func(ctx context.Context, c schema.Call) (schema.Result, error) {
		text, err := s.Read("proc/self/mountinfo")
		if err != nil {
			return schema.Result{}, err
		}
		mounts := parse(text)
		if path := c.Args.Text("path"); path != "" {
			m, err := holding(mounts, path)
			if err == nil {
				err = present(s.Path(m.Path), m.Path, path)
			}
			if err != nil {
				return schema.Result{}, err
			}
			mounts = []Usage{m}
		} else {
			mounts = worthwhile(mounts)
		}
		out := []Usage{}
		for _, m := range mounts {
			if ctx.Err() != nil {
				return schema.Result{}, context.Cause(ctx)
			}
			if m.measure(s.Path(m.Path)) && (m.Size > 0 || len(mounts) == 1) {
				m.Path, m.Device, m.Type = local.Clean(m.Path), local.Clean(m.Device), local.Clean(m.Type)
				out = append(out, m)
			}
		}
		slices.SortFunc(out, func(a, b Usage) int { return strings.Compare(a.Path, b.Path) })
		return schema.Result{Value: out}, nil
	}
}

// parse reads proc_pid_mountinfo(5). What is mounted later hides what was
// mounted at the same path before.
func parse(text string) []Usage {
	at := map[string]int{}
	var out []Usage
	for line := range strings.SplitSeq(text, "\n") {
		head, tail, ok := strings.Cut(line, " - ")
		h, t := strings.Fields(head), strings.Fields(tail)
		if !ok || len(h) < 6 || len(t) < 2 {
			continue
		}
		m := Usage{Path: unescape(h[4]), Device: unescape(t[1]), Type: t[0]}
		if i, again := at[m.Path]; again {
			out[i] = m
		} else if len(out) < maxMounts {
			at[m.Path] = len(out)
			out = append(out, m)
		}
	}
	return out
}

func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// network reports a file system that a server is behind.
func network(kind string) bool {
	switch kind {
	case "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "beegfs", "afs", "gfs2", "ocfs2", "autofs", "virtiofs":
		return true
	}
	return strings.HasPrefix(kind, "fuse")
}

// worthwhile leaves what data is kept on: devices once each, tmpfs and zfs.
func worthwhile(all []Usage) []Usage {
	seen := map[string]bool{}
	var out []Usage
	for _, m := range all {
		onDevice := strings.HasPrefix(m.Device, "/dev/")
		if network(m.Type) || m.Type == "squashfs" || !onDevice && m.Type != "tmpfs" && m.Type != "zfs" && m.Type != "overlay" || onDevice && seen[m.Device] {
			continue
		}
		seen[m.Device] = true
		out = append(out, m)
	}
	return out
}

// holding finds the file system of a path by the longest mount point above it.
func holding(all []Usage, path string) (Usage, error) {
	if !filepath.IsAbs(path) {
		return Usage{}, errs.New(errs.Invalid, "%s is no absolute path", schema.Clip(path))
	}
	path = filepath.Clean(path)
	best := Usage{}
	for _, m := range all {
		if path == m.Path || m.Path == "/" || strings.HasPrefix(path, m.Path+"/") {
			if len(m.Path) >= len(best.Path) {
				best = m
			}
		}
	}
	switch {
	case best.Path == "":
		return best, errs.New(errs.NotFound, "no file system has %s", schema.Clip(path))
	case network(best.Type):
		return best, errs.New(errs.Unavailable, "%s is on a network share (%s, %s), which is not asked", schema.Clip(path), schema.Clip(best.Device), best.Type)
	}
	return best, nil
}

// present refuses a path that is not there. It does not leave the file system of
// the mount: a link on the way may lead to a share whose server is gone.
func present(root, mount, path string) error {
	rest, err := filepath.Rel(mount, filepath.Clean(path))
	if err != nil || rest == "." {
		return nil
	}
	at, err := unix.Open(root, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil // measure finds out
	}
	defer unix.Close(at)
	fd, err := unix.Openat2(at, rest, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC | unix.O_NOFOLLOW, Resolve: unix.RESOLVE_NO_XDEV})
	if err == nil {
		return unix.Close(fd)
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return errs.New(errs.NotFound, "there is no %s", schema.Clip(path))
	}
	return nil
}

// measure asks the kernel. It reports false when the mount is not to be seen.
func (m *Usage) measure(path string) bool {
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return false
	}
	block := fs.Frsize
	if block == 0 {
		block = fs.Bsize
	}
	m.fill(fs.Blocks, fs.Bfree, fs.Bavail, uint64(block), fs.Files, fs.Ffree)
	return true
}

// fill computes as df(1) does: the share of what root keeps for itself counts
// neither as used nor as available.
func (m *Usage) fill(blocks, free, available, block, files, freeFiles uint64) {
	used := blocks - min(free, blocks)
	m.Size, m.Used, m.Available = int64(blocks*block), int64(used*block), int64(available*block)
	if sum := used + available; sum > 0 {
		m.Percent = int((used*100 + sum - 1) / sum)
	}
	if files > 0 {
		m.Inodes = int(((files-min(freeFiles, files))*100 + files - 1) / files)
	}
}
