package hosttest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// archives is where apt keeps what it fetched.
const archives = "/var/cache/apt/archives"

func deb(name string) string {
	if all, _ := filepath.Glob(filepath.Join(archives, name+"_*.deb")); len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

// mount is a line of the host's table of mounts.
type mount struct {
	source, target, kind string
	flags                uintptr
	data                 string
}

// enter makes the host around this process, which has its namespaces already,
// and goes in.
func enter(s Setup) error {
	dir := os.Getenv(dirEnv)
	space := filepath.Join(dir, "space")
	root := filepath.Join(space, "root")
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	if err := mounts("", []mount{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE, ""},
		{"space", space, "tmpfs", 0, ""},
	}); err != nil {
		return err
	}
	for _, d := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(space, d), 0o755); err != nil {
			return err
		}
	}
	layers := fmt.Sprintf("lowerdir=/,upperdir=%s/upper,workdir=%s/work", space, space)
	if err := mounts("", []mount{{"host", root, "overlay", 0, layers}}); err != nil {
		return err
	}
	table := []mount{
		{"proc", "/proc", "proc", 0, ""},
		{"sysfs", "/sys", "sysfs", unix.MS_RDONLY, ""},
		{"dev", "/dev", "tmpfs", 0, "mode=755"},
		{"devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666"},
		{"tmp", "/tmp", "tmpfs", 0, "mode=1777"},
		{"run", "/run", "tmpfs", 0, "mode=755"},
		{dir, shared, "", unix.MS_BIND, ""},
		{exe, shared + "/test", "", unix.MS_BIND, ""},
	}
	if s.Cgroup {
		table = append(table, mount{"cgroup", "/sys/fs/cgroup", "cgroup2", 0, ""})
	}
	if err := mounts(root, table); err != nil {
		return err
	}
	if err := devices(root); err != nil {
		return err
	}
	// The old root goes below the new one, and away.
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("changing the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leaving the old root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	return s.furnish()
}

// mounts makes the mounts, and their places where there are none.
func mounts(root string, table []mount) error {
	for _, m := range table {
		target := filepath.Join(root, m.target)
		if info, err := os.Stat(m.source); m.flags&unix.MS_BIND != 0 && err == nil && !info.IsDir() {
			if err := os.WriteFile(target, nil, 0o755); err != nil {
				return err
			}
		} else if _, err := os.Stat(target); err != nil {
			if err := os.MkdirAll(target, 0o755); err != nil {
				return err
			}
		}
		if err := unix.Mount(m.source, target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mounting %s on %s: %w", m.kind, target, err)
		}
	}
	return nil
}

// devices makes the few that programs want. The console is a hole: the
// machine's own is not the test's.
func devices(root string) error {
	for name, n := range map[string][2]uint32{"null": {1, 3}, "zero": {1, 5}, "full": {1, 7}, "random": {1, 8}, "urandom": {1, 9}, "tty": {5, 0}, "console": {1, 3}} {
		path := filepath.Join(root, "dev", name)
		if err := unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(n[0], n[1]))); err != nil {
			return fmt.Errorf("making %s: %w", path, err)
		}
		if err := os.Chmod(path, 0o666); err != nil {
			return err
		}
	}
	for name, to := range map[string]string{"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"} {
		if err := os.Symlink(to, filepath.Join(root, "dev", name)); err != nil {
			return err
		}
	}
	return nil
}

// furnish unpacks, hides and writes what the host is to have and not to have.
func (s Setup) furnish() error {
	for _, d := range s.Debs {
		// Folders that are links stay so: /bin is /usr/bin on most systems.
		cmd := exec.Command("/bin/sh", "-c", `dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C /`, "sh", deb(d)) //nolint:noctx // the process ends with the test
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("unpacking %s: %w\n%s", d, err, out)
		}
	}
	for _, p := range s.Hide {
		if err := os.RemoveAll(p); err != nil {
			return err
		}
	}
	for path, text := range s.Files {
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			return err
		}
	}
	return nil
}
